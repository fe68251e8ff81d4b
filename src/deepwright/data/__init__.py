"""Data sets by name, embedded defaults, and the user's own files.

`load` takes a name of the catalogue or a path and gives a `Data`: three splits, class names, notes. Beside it stand the
readers of single formats, pictures with boxes, data with a known answer, and sets that belong to none of the classes.

Example:
    >>> from deepwright.data import load
    >>> load("mnist").test.x.shape
    torch.Size([1000, 1, 28, 28])
"""

from deepwright.data.archives import Decoding, ImageSource, decode
from deepwright.data.augment import jitter_digits, shift_and_flip
from deepwright.data.camvid import load_camvid
from deepwright.data.catalogue import ENTRIES, Entry, load
from deepwright.data.cifar import load_cifar10
from deepwright.data.companions import class_blends, letters, ood_companions, photo_patches, shuffle_pixels
from deepwright.data.dataset import Data, Split, split_three, stratified_order, to_float
from deepwright.data.detection import BoxData, load_coco, load_voc, load_yolo
from deepwright.data.embedded import load_breast_cancer, load_digits, load_mnist, mnist_5k
from deepwright.data.folders import load_folder, load_images, load_npz
from deepwright.data.imagenet import imagenet_names, load_imagenet_sample
from deepwright.data.scenes import Scenes, make_scenes, stream_scenes
from deepwright.data.synthetic import boxes_ood, load_confident_error, make_confident_error_data, make_redundant_pool
from deepwright.data.tables import load_csv, load_heart_failure, table_data

__all__ = [
    "ENTRIES",
    "BoxData",
    "Data",
    "Decoding",
    "Entry",
    "ImageSource",
    "Scenes",
    "Split",
    "boxes_ood",
    "class_blends",
    "decode",
    "imagenet_names",
    "jitter_digits",
    "letters",
    "load",
    "load_breast_cancer",
    "load_camvid",
    "load_cifar10",
    "load_coco",
    "load_confident_error",
    "load_csv",
    "load_digits",
    "load_folder",
    "load_heart_failure",
    "load_imagenet_sample",
    "load_images",
    "load_mnist",
    "load_npz",
    "load_voc",
    "load_yolo",
    "make_confident_error_data",
    "make_redundant_pool",
    "make_scenes",
    "mnist_5k",
    "ood_companions",
    "photo_patches",
    "shift_and_flip",
    "shuffle_pixels",
    "split_three",
    "stratified_order",
    "stream_scenes",
    "table_data",
    "to_float",
]
