"""Networks that stop early: heads on intermediate maps, survivors-only batches.

BlankSkip: a detector's early head answers "nothing here", which early features can tell, instead of boxes, which they
can't. For classifiers the same frame holds a head of logits that leaves on its confidence.

Source: arXiv 2603.28149 (head, losses and the threshold rule are ours where the paper leaves them open).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.compress.exits.heads import ExitHead, VectorHead
from deepwright.compress.exits.inputs import magnitude, require_frames, require_scores, require_thresholds
from deepwright.compress.exits.policy import ExitPolicy
from deepwright.compress.exits.segments import Segments
from deepwright.core.devices import back_to, device_of, dtype_of, to_model
from deepwright.core.errors import InputError
from deepwright.core.files import hash_model
from deepwright.core.inference import evaluating


class AdaptiveModel(nn.Module):
    """A network with exits. Make it with `attach_exits`.

    In training mode `forward` gives (outputs, {cut: head's logits}) of the whole network. In eval mode it runs piece
    after piece on the samples that are still there, which needs a policy (`calibrate_exits`) or explicit thresholds.

    Args:
        model: the network.
        cuts: names of its modules, in order.
        heads: one a cut.
        example: an input batch, at the scale that the network takes: inputs ten times as large are refused.
        exit_output: "blank" or "logits".
        empty: makes the answer of a blank frame.
    """

    def __init__(
        self,
        model: nn.Module,
        cuts: Sequence[str],
        heads: Sequence[nn.Module],
        example: Tensor,
        exit_output: str,
        empty: Callable[[], Any] | None,
    ) -> None:
        super().__init__()
        self.model, self.cuts, self.exit_output, self.empty = model, tuple(cuts), exit_output, empty
        self.heads = nn.ModuleList(heads)
        self.example = example
        self._policy: ExitPolicy | None = None
        self._marks: list[tuple[int, int]] | None = None
        self._kept: tuple[Segments, list[nn.Module], tuple[torch.device, torch.dtype]] | None = None

    @property
    def policy(self) -> ExitPolicy | None:
        """Thresholds that are taken where none are given; they belong to these weights and no others."""
        return self._policy

    @policy.setter
    def policy(self, policy: ExitPolicy | None) -> None:
        self._policy, self._marks = policy, None
        if policy is not None:
            if policy.cuts != self.cuts:
                raise InputError("policy", given=f"for exits after {policy.cuts}", expected=f"{self.cuts}")
            self._own(policy)

    def _own(self, policy: ExitPolicy) -> ExitPolicy:
        """The policy, once it is known to be of these weights: they are read again only where one was written to."""
        marks = [(t.data_ptr(), 0 if t.is_inference() else t._version) for t in self.state_dict().values()]
        if marks != self._marks:
            if policy.model_hash and policy.model_hash != self.fingerprint():
                hint = "calibrate_exits on this network as it is: quantised, cast or trained on, its scores are others"
                raise InputError("policy", given="calibrated on other weights", expected="this network", hint=hint)
            self._marks = marks
        return policy

    # --- training ----------------------------------------------------------------------------------------------

    def exit_logits(self, x: Tensor) -> tuple[Any, dict[str, Tensor]]:
        """(the network's outputs, each head's logits), by one ordinary forward pass with hooks on the cuts.

        Args:
            x: a batch.

        Raises:
            InputError: no floats, NaN or infinity among them, or samples of another shape than the example's.
        """
        require_frames(x, self.example)
        seen: dict[str, Tensor] = {}
        modules = dict(self.model.named_modules())

        def keep(name: str) -> Callable[..., None]:
            def hook(module: nn.Module, args: Any, output: Tensor) -> None:
                seen[name] = output

            return hook

        handles = [modules[c].register_forward_hook(keep(c)) for c in self.cuts]
        try:
            out = self.model(to_model(x, self.model))
        finally:
            for handle in handles:
                handle.remove()
        return out, {c: head(seen[c]) for c, head in zip(self.cuts, self.heads)}

    # --- inference ---------------------------------------------------------------------------------------------

    @cached_property
    def _magnitude(self) -> float:
        """Of the example, which never changes: asking each time would make every call wait for the device."""
        return magnitude(self.example)

    def pieces(self) -> list[nn.Module]:
        """The network between its cuts; the pieces share its parameters."""
        return self._exported()[1]

    @property
    def segments(self) -> Segments:
        """The exported network."""
        return self._exported()[0]

    def _exported(self) -> tuple[Segments, list[nn.Module]]:
        """Made once, and again where the network was moved: its buffers are then other tensors."""
        place = device_of(self.model), dtype_of(self.model)
        if self._kept is None or self._kept[2] != place:
            segments = Segments(self.model, self.example)
            positions = [segments.position(c) for c in self.cuts]
            self._kept = segments, list(segments.build(positions)), place
        return self._kept[0], self._kept[1]

    def readiness(self, logits: Tensor) -> Tensor:
        """How ready each sample is to leave: -logit of "something is here", or the largest class probability.

        Args:
            logits: (N, outputs) of a head.

        Returns:
            (N,) in single precision at least: in half precision a threshold would round to the score below it.
        """
        logits = logits.float() if logits.dtype.itemsize < 4 else logits
        return -logits[:, 0] if self.exit_output == "blank" else logits.softmax(1).amax(1)

    def forward(self, x: Tensor, *, thresholds: Sequence[float] | None = None, return_exit: bool = False) -> Any:
        """See the class.

        Args:
            x: a batch.
            thresholds: of readiness per cut; the policy's by default.
            return_exit: give (outputs, (N,) index of the cut where each sample left, len(cuts) at the end) as well.

        Raises:
            InputError: eval mode without a policy or thresholds (there is no silent default), a policy of other
                weights; inputs that aren't finite floats of the example's shape, or that are at another scale than the
                calibration's; scores or answers that are NaN.
        """
        if self.training:
            return self.exit_logits(x)
        if thresholds is None:
            if self.policy is None:
                hint = "calibrate_exits(model, loader, ...) first, or pass thresholds="
                raise InputError("thresholds", given="none", expected="some, in eval mode", hint=hint)
            thresholds, largest = self._own(self.policy).thresholds, self.policy.largest
        else:
            require_thresholds(thresholds, len(self.cuts))
            largest = self._magnitude
        require_frames(x, self.example, largest)
        pieces, given = self.pieces(), x
        x = to_model(x, self.model)
        with evaluating(self), torch.no_grad():
            left = torch.full((len(x),), len(self.cuts), dtype=torch.long, device=x.device)
            rows = torch.arange(len(x), device=x.device)
            early: list[tuple[Tensor, Tensor]] = []
            for k, (piece, head) in enumerate(zip(pieces, self.heads)):
                x = piece(x)
                logits = head(x)
                ready = self.readiness(logits)
                require_scores(ready, f"scores of the exit after {self.cuts[k]!r}")
                leaving = ready >= thresholds[k]
                left[rows[leaving]] = k
                if self.exit_output == "logits":
                    early.append((rows[leaving], logits[leaving]))
                rows, x = rows[~leaving], x[~leaving]
                if len(rows) == 0:
                    break
            last = self.segments.unflatten(pieces[-1](x)) if len(rows) else None
            for part in torch.utils._pytree.tree_leaves(last):
                if isinstance(part, Tensor):  # decoded, NaN would be "nothing found"
                    require_scores(part, "outputs of the whole network")
        outputs, left = back_to((self._gather(left, rows, last, early), left), given)
        return (outputs, left) if return_exit else outputs

    def _gather(self, left: Tensor, rows: Tensor, last: Any, early: list[tuple[Tensor, Tensor]]) -> Any:
        if self.exit_output == "logits":
            parts = [*early, *([(rows, last)] if last is not None else [])]
            out = parts[0][1].new_zeros(len(left), parts[0][1].shape[1])
            for where, values in parts:
                out[where] = values
            return out
        assert self.empty is not None
        found: list[Any] = [self.empty() for _ in range(len(left))]
        if last is not None:
            ready = self._finish(last)
            for row, item in zip(rows.tolist(), ready):
                found[row] = item
        return found

    def _finish(self, last: Any) -> list[Any]:
        """One answer a sample from the last piece's outputs."""
        finish: Any = getattr(self.model, "postprocess", None)
        return _unbatch(last) if finish is None else finish(last)

    def fingerprint(self) -> str:
        """A hash of the network and its heads, for policies."""
        return hash_model(self.model) + hash_model(self.heads)


def _unbatch(tree: Any) -> list[Any]:
    flat, spec = torch.utils._pytree.tree_flatten(tree)
    return [torch.utils._pytree.tree_unflatten([v[i] for v in flat], spec) for i in range(len(flat[0]))]


def attach_exits(
    model: nn.Module,
    cuts: Sequence[str],
    example: Tensor,
    head_factory: Callable[[int], nn.Module] | None = None,
    *,
    exit_output: str = "blank",
    outputs: int | None = None,
    empty_output: Callable[[], Any] | None = None,
) -> AdaptiveModel:
    """Put a head behind each named module.

    Args:
        model: any network that `torch.export` takes with a free batch size.
        cuts: names of modules, in order; no shortcut may pass a cut.
        example: an input batch.
        head_factory: channels -> head; an `ExitHead` (maps) or `VectorHead` (vectors) by default.
        exit_output: "blank" (leave with an empty answer) or "logits" (leave with the head's classes).
        outputs: classes of the heads, for "logits".
        empty_output: makes the answer of a blank frame (`model.no_detections` where the network has it).

    Raises:
        CutError: an unknown module, or several tensors cross a cut (named).
        InputError: no cuts, cuts out of order, missing outputs or empty_output.
    """
    if not cuts:
        raise InputError("cuts", given="none", expected="names of modules")
    if exit_output not in ("blank", "logits") or (exit_output == "logits" and not outputs):
        raise InputError(
            "attach_exits",
            given=f"exit_output={exit_output!r}, outputs={outputs}",
            expected="'blank', or 'logits' with outputs",
        )
    empty = empty_output or getattr(model, "no_detections", None)
    if exit_output == "blank" and empty is None:
        raise InputError("empty_output", given="nothing", expected="a function that makes the answer of an empty frame")
    segments = Segments(model, example)
    positions = [segments.position(c) for c in cuts]
    if positions != sorted(set(positions)):
        raise InputError("cuts", given=list(cuts), expected="different cuts in the order of the network")
    heads = []
    for position in positions:
        shape = segments.nodes[position - 1].meta["val"].shape
        channels, vector = int(shape[1]), len(shape) == 2
        count = outputs or 1
        default = VectorHead(channels, outputs=count) if vector else ExitHead(channels, outputs=count)
        head = head_factory(channels) if head_factory is not None else default
        heads.append(head.to(device_of(model), dtype_of(model)))
    return AdaptiveModel(model, cuts, heads, example, exit_output, empty)
