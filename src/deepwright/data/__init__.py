"""Data sets by name, embedded defaults, and the user's own files.

`load` takes a name of the catalogue or a path and gives a `Data`: three splits, class names, notes. Beside it stand the
readers of single formats, pictures with boxes, data with a known answer, and sets that belong to none of the classes.

Example:
    >>> from deepwright.data import load
    >>> load("digits").test.x.shape
    torch.Size([359, 1, 8, 8])
"""

from deepwright.data.augment import jitter_digits, shift_and_flip
from deepwright.data.catalogue import ENTRIES, WORDS, Entry, classes_of, load
from deepwright.data.companions import class_blends, letters, ood_companions, photo_patches, shuffle_pixels
from deepwright.data.dataset import Data, Split, split_three, stratified_order, to_float
from deepwright.data.decibels import to_amplitude, to_decibels
from deepwright.data.files.archives import Decoding, ImageSource, decode
from deepwright.data.files.arrays import load_npz
from deepwright.data.files.arrow_folders import load_arrow_folder
from deepwright.data.files.box_folders import load_boxes
from deepwright.data.files.class_order import Named, in_order, read_classes, require_names
from deepwright.data.files.detection import BoxData, load_coco, load_voc, load_yolo
from deepwright.data.files.folders import load_folder, load_images
from deepwright.data.files.group_columns import (
    load_celeba,
    load_features,
    load_metashift,
    load_waterbirds,
    read_column,
    with_column,
)
from deepwright.data.files.labels import class_labels
from deepwright.data.files.mask_folders import load_masks
from deepwright.data.files.medical_streams import load_cinc_psv, load_ohio_xml
from deepwright.data.files.ordinal_masks import load_ordinal_masks
from deepwright.data.files.pieces import FOR_MEASURING, FOR_TRAINING, Cut, cut_note, one_piece, with_parts
from deepwright.data.files.series import BySeries, load_series
from deepwright.data.files.tables import load_csv, load_heart_failure, load_parquet, table_data
from deepwright.data.files.target_tables import load_targets
from deepwright.data.files.texts import load_strings, load_texts
from deepwright.data.imaging import component_counts, components, distance_to, euler_characteristic
from deepwright.data.named.anatomy import load_nested_anatomy, make_nested_anatomy, make_tree_scene
from deepwright.data.named.camvid import load_camvid
from deepwright.data.named.cifar import load_cifar10
from deepwright.data.named.coloured import WatermarkedColouredDigits
from deepwright.data.named.embedded import load_breast_cancer, load_digits, load_mnist, mnist_5k
from deepwright.data.named.geotiff import RadarScene, read_geotiff
from deepwright.data.named.glucose import make_glucose_cohort
from deepwright.data.named.imagenet import imagenet_classes, imagenet_names, load_imagenet_sample
from deepwright.data.named.machines import make_machine_fleet
from deepwright.data.named.scenes import Scenes, make_scenes, stream_scenes
from deepwright.data.named.sentences import load_sentences, make_sentences
from deepwright.data.named.ships import ShipScenes, load_sar_ships, sar_ships
from deepwright.data.named.spurious import SpuriousGaussians, gaussian_spurious, mnist_dominoes
from deepwright.data.named.synthetic import (
    boxes_ood,
    load_confident_error,
    load_texture_waves,
    make_confident_error_data,
    make_redundant_pool,
    texture_waves,
)
from deepwright.data.windows import Stream, Windows

__all__ = [
    "ENTRIES",
    "FOR_MEASURING",
    "FOR_TRAINING",
    "WORDS",
    "BoxData",
    "BySeries",
    "Cut",
    "Data",
    "Decoding",
    "Entry",
    "ImageSource",
    "Named",
    "RadarScene",
    "Scenes",
    "ShipScenes",
    "Split",
    "SpuriousGaussians",
    "Stream",
    "WatermarkedColouredDigits",
    "Windows",
    "boxes_ood",
    "class_blends",
    "class_labels",
    "classes_of",
    "component_counts",
    "components",
    "cut_note",
    "decode",
    "distance_to",
    "euler_characteristic",
    "gaussian_spurious",
    "imagenet_classes",
    "imagenet_names",
    "in_order",
    "jitter_digits",
    "letters",
    "load",
    "load_arrow_folder",
    "load_boxes",
    "load_breast_cancer",
    "load_camvid",
    "load_celeba",
    "load_cifar10",
    "load_cinc_psv",
    "load_coco",
    "load_confident_error",
    "load_csv",
    "load_digits",
    "load_features",
    "load_folder",
    "load_heart_failure",
    "load_imagenet_sample",
    "load_images",
    "load_masks",
    "load_metashift",
    "load_mnist",
    "load_nested_anatomy",
    "load_npz",
    "load_ohio_xml",
    "load_ordinal_masks",
    "load_parquet",
    "load_sar_ships",
    "load_sentences",
    "load_series",
    "load_strings",
    "load_targets",
    "load_texts",
    "load_texture_waves",
    "load_voc",
    "load_waterbirds",
    "load_yolo",
    "make_confident_error_data",
    "make_glucose_cohort",
    "make_machine_fleet",
    "make_nested_anatomy",
    "make_redundant_pool",
    "make_scenes",
    "make_sentences",
    "make_tree_scene",
    "mnist_5k",
    "mnist_dominoes",
    "one_piece",
    "ood_companions",
    "photo_patches",
    "read_classes",
    "read_column",
    "read_geotiff",
    "require_names",
    "sar_ships",
    "shift_and_flip",
    "shuffle_pixels",
    "split_three",
    "stratified_order",
    "stream_scenes",
    "table_data",
    "texture_waves",
    "to_amplitude",
    "to_decibels",
    "to_float",
    "with_column",
    "with_parts",
]
