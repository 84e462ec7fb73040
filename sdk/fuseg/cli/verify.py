"""``fuseg verify``: does the bundle give the right labels on this machine?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from ..bundle import Bundle
from ..bundle.signing import require_trusted
from ..dataset.label_ids import TruthReader
from ..dataset.scoring import Score
from ..errors import ArgumentError, BackendError
from ..manifest import Robustness
from ..manifest.schema import dump
from ..robustness import measure, require_few
from ..segmenter import Segmenter
from ..selection.load_options import LoadOptions
from .compare_labels import AGAINST, OtherBundle, OtherMaps, compare, show
from .frame_reader import (
    FrameReader,
    assignments,
    hertz,
    match_files,
    nothing_matches,
    one_by_one,
    policies,
    report_unmatched,
    require_names,
    set_texts,
    unmatched_json,
)
from .labelled_frames import TRUTH, LabelledFrames, labels_of
from .options import (
    BackendOption,
    BundleArgument,
    ChannelsOption,
    DeviceOption,
    InputOption,
    JsonOption,
    MatchOption,
    MissingOption,
    NoSpinningOption,
    PlaneOption,
    RateOption,
    ReferenceOption,
    SlopOption,
    TextOption,
    ThreadsOption,
    TrustOption,
    TruthMapOption,
    UnitOption,
    VariantOption,
    require_device,
)
from .printing import plural, print_json, print_table, report, say, warn
from .replay_samples import FP32_AGREEMENT, LABEL_AGREEMENT, ReplayedSample, replay
from .robustness_table import show_robustness


def verify(
    bundle: BundleArgument,
    input: InputOption = None,
    truth: Annotated[
        str | None,
        typer.Option(
            help="The true labels, at the camera's size: a file, folder or pattern of "
            "gray or palette PNGs, like the inputs."
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Another way to the same labels: a .fuseg bundle, run on the same "
            "frames, or label maps, given like --truth, as other code predicted them.",
        ),
    ] = None,
    truth_map: TruthMapOption = None,
    unit: UnitOption = None,
    channels: ChannelsOption = None,
    missing: MissingOption = None,
    plane: PlaneOption = None,
    rate: RateOption = None,
    text: TextOption = None,
    match: MatchOption = "name",
    slop: SlopOption = None,
    reference: ReferenceOption = None,
    min_agreement: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Share of equal labels that each sample, and all frames of --against "
            "together, must reach.",
            show_default=f"{FP32_AGREEMENT} for fp32, {LABEL_AGREEMENT} for others",
        ),
    ] = None,
    min_miou: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="mIoU that must be reached."),
    ] = None,
    robustness: Annotated[
        bool,
        typer.Option(
            "--robustness",
            help="Also score every set of sensors, the others being gone, and frames "
            "with lost pixels and noise.",
        ),
    ] = False,
    threads: ThreadsOption = None,
    no_spinning: NoSpinningOption = False,
    backend: BackendOption = "auto",
    variant: VariantOption = None,
    device: DeviceOption = 0,
    trust: TrustOption = None,
    json: JsonOption = False,
) -> None:
    """Replay the bundle's samples; score or compare it on frames.

    Samples are replayed with every variant meant for the backend, unless one is named.
    Frames, with true labels or with another way to the same labels, are labelled by the
    variant that fuseg.load would pick. Exits with 1 if a sample or --against agrees too
    little, or the mIoU is too low.
    """
    sources = assignments("--input", input)
    if truth is not None and against is not None:
        raise ArgumentError(
            "--truth and --against must not be given together: verify once with each."
        )
    given = truth if against is None else against
    if bool(sources) != (given is not None):
        raise ArgumentError(
            "--input and --truth must be given together: frames and their true labels; "
            "or --input and --against, for labels to compare with."
        )
    of_frames = {
        "--truth-map": truth_map,
        "--unit": unit,
        "--channels": channels,
        "--missing": missing,
        "--plane": plane,
        "--rate": rate,
        "--text": text,
        "--match": None if match == "name" else match,
        "--slop": slop,
        "--reference": reference,
    }
    of_truth = {"--min-miou": min_miou, "--robustness": robustness or None}
    for option, value in (of_frames | of_truth).items():
        if given is None and value not in (None, []):
            ways = "--truth" if option in of_truth else "--truth or --against"
            raise ArgumentError(f"{option} needs frames to score: --input and {ways}.")
    for option, value in of_truth.items():
        if against is not None and value is not None:
            raise ArgumentError(f"{option} needs true labels: --truth, not --against.")
    is_bundle = against is not None and against.endswith(".fuseg")
    if is_bundle and truth_map is not None:
        raise ArgumentError(
            "--truth-map must be left out if --against is a bundle: its labels are "
            "class indices."
        )
    require_device(backend, device)
    opened = Bundle.open(bundle)
    if trust is not None:
        require_trusted(opened, trust)
    if truth is not None:
        output = labels_of(opened)
        classes = opened.manifest.classes_of(output)
        read_truth = TruthReader(classes, output.ignore, truth_map)
    others: OtherMaps | OtherBundle | None = None
    if is_bundle:
        labels_of(opened, AGAINST)
    elif against is not None:
        others = OtherMaps(opened, against, truth_map)
    if robustness:
        require_few(opened.manifest, "--robustness")
    samples = replay(
        opened,
        backend,
        variant,
        threads,
        not no_spinning,
        device,
        min_agreement,
        trusted=trust is not None,
    )
    score = scores = segmenter = card = compared = None
    refusals = []
    unscored = "no frame has a labelled pixel."
    if given is not None:
        orders = assignments("--channels", channels)
        units = assignments("--unit", unit)
        try:
            options = LoadOptions(
                backend=backend,
                variant=variant,
                threads=threads,
                allow_spinning=not no_spinning,
                device=device,
                units=units,
                channels=orders,
                rates=hertz(rate),
                missing=one_by_one(opened.manifest, missing),
                hold=bool(opened.manifest.states),
                trust=trust,
            )
            segmenter = Segmenter(opened, options)
        except BackendError as err:  # the samples say why, and they are shown
            refusals.append(f"nothing is scored, as loading is refused: {err}")
    if given is not None and segmenter is not None:
        require_names(segmenter.manifest, sources)
        planes = assignments("--plane", plane)
        set_texts(segmenter, text)
        if is_bundle:
            output = segmenter.manifest.label_outputs[0]
            names = [c.name for c in segmenter.manifest.classes_of(output)]
            others = OtherBundle(given, sources, options, missing, text, planes, names)
        labelled = {TRUTH: given} if others is None else others.sources
        matched = match_files(
            {**sources, **labelled}, match, slop, reference, policies(missing)
        )
        report_unmatched(matched)
        if not matched.frames:
            unscored = nothing_matches(matched)
        reader = FrameReader(opened.manifest, orders, planes, hertz(rate))
        if others is None:
            frames = LabelledFrames(matched, reader, read_truth)
            score = frames.score(segmenter)
            if robustness and score.miou is not None:
                card = measure(
                    segmenter, frames.for_robustness(), units=units, channels=orders
                )
            scores = {"frames": len(matched.frames), **asdict(score)}
            scores["unmatched"] = unmatched_json(matched)
        elif not matched.frames:
            refusals.append(f"nothing to compare: {unscored}")
        else:
            compared = compare(segmenter, matched, reader, others, min_agreement)
            refusals += compared.failures

    failures = _failures(samples, scores, min_miou, unscored) + refusals
    if not samples and given is None:
        failures.append(
            "nothing to verify: the bundle holds no samples; give --input and --truth, "
            "or --input and --against."
        )
    if json:
        print_json(
            {
                "bundle": str(bundle),
                "digest": opened.digest,
                "passed": not failures,
                "failures": failures,
                "min_agreement": min_agreement,
                "min_miou": min_miou,
                "samples": [asdict(sample) for sample in samples],
                "truth": scores,
                "against": None
                if compared is None
                else asdict(compared) | {"unmatched": unmatched_json(matched)},
                "robustness": None if card is None else dump(card),
            }
        )
    else:
        _show(samples, score, 0 if scores is None else scores["frames"], card)
        if compared is not None:
            show(compared)
    if score is not None:
        for sentence in score.warnings:
            warn(sentence)
    for failure in failures:
        report("failed", failure)
    if failures:
        raise typer.Exit(1)


def _failures(
    samples: list[ReplayedSample],
    scores: dict[str, Any] | None,
    min_miou: float | None,
    unscored: str,
) -> list[str]:
    failures = [
        f"{sample.words}, at least {sample.min_agreement} must."
        for sample in samples
        if sample.agreement < sample.min_agreement
    ]
    if scores is not None:
        if scores["miou"] is None:
            failures.append(f"nothing to score: {unscored}")
        elif min_miou is not None and scores["miou"] < min_miou:
            failures.append(
                f"mIoU is {scores['miou']:.4f}, it must be at least {min_miou}."
            )
    return failures


def _show(
    samples: list[ReplayedSample],
    score: Score | None,
    frames: int,
    card: Robustness | None,
) -> None:
    for sample in samples:
        say(sample.words)
    if score is None or score.miou is None:
        return
    rows = [
        (name, "does not occur" if value is None else f"{value:.4f}")
        for name, value in score.iou.items()
    ]
    print_table(("class", "IoU"), rows, right=("IoU",), title=plural(frames, "frame"))
    for line in score.words:
        say(line)
    if card is not None:
        say()
        show_robustness(card)
