"""What was made live, written where the batch tools write it, and as they do."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from caffevis.keys.state import Origin
from caffevis.live.ascents import SEEDS, Made
from caffevis.live.request import Keep, KeepError, UnitPatches
from caffevis.model.opened_files import OpenedFiles
from caffevis.units.image_paths import (
    DECONV,
    FROM_PICTURES,
    OPTIMISED,
    PATCHES,
    Kind,
    UnitFolder,
    folder_from,
    layer_path,
)
from find_maxes.crops.crop import Writer
from find_maxes.errors import FindMaxesError
from optimize.ascent.results import FindResults
from optimize.batch.executor import Batch
from optimize.batch.runs import Keeping
from optimize.batch.unit_jpgs import LayerJob, check, make, picture_of
from optimize.errors import OptimizeError
from optimize.output.files import write
from optimize.output.pictures import encoded
from optimize.output.progress import Progress
from toolbox.pictures.stamp import StampError, foreign, write_stamp
from toolbox.settings.config import Settings


def keep(settings: Settings, wanted: Keep, files: OpenedFiles) -> str:
    """Write a unit's pictures into the folder of unit images; say which.

    Raises
    ------
    KeepError
        There is no folder, nothing is finished, the network's files have become others, or
        the file system refuses.
    """
    folder = folder_from(settings)
    name = f"{wanted.unit.layer}:{wanted.unit.unit}"
    if folder.root is None:
        raise KeepError("caffevis_unit_jpg_dir is not set: name a folder there to keep images in")
    kept = []
    try:
        made = wanted.made
        if made is not None and made.photo:
            kept.append(_keep_from_picture(Path(folder.root), wanted.unit, made, files))
        elif made is not None and _is_free(folder, OPTIMISED, wanted.unit):
            _keep_images(Path(folder.root), wanted.unit, made, files)
            kept.append(OPTIMISED.name)
        patches = wanted.patches
        if patches is not None and patches.patches and _is_free(folder, PATCHES, wanted.unit):
            _keep_patches(folder, patches, files)
            kept.append(f"{PATCHES.name} and their deconv")
    except (OptimizeError, FindMaxesError, StampError, OSError) as error:
        raise KeepError(f"{name} is not kept: {error}") from error
    if not kept:
        raise KeepError(
            f"nothing of {name} is kept: images are kept that were made here, all {SEEDS} of them "
            "or all photos scanned, and that are not on disk already"
        )
    return f"{name}: {' and '.join(kept)} kept in {folder.root}"


def _is_free(folder: UnitFolder, kind: Kind, unit: Origin) -> bool:
    """Tell whether there is no such picture yet: nothing on disk is overwritten."""
    return not any(path.exists() for path in folder.unit(kind, unit.layer, unit.unit))


def _keep_images(root: Path, unit: Origin, made: Made, files: OpenedFiles) -> None:
    spec, whole = made.spec, made.optimizer.channels(unit.layer) == 1
    job = LayerJob(
        unit.layer, (unit.unit,), whole, made.recipe, len(made.results), None, spec.record(),
        files.stamp(),
    )  # fmt: skip
    if why := files.changed():  # the record would be the new file's
        raise OptimizeError(why)

    def finished(
        batches: Sequence[Batch], progress: Progress
    ) -> Iterator[tuple[int, list[FindResults]]]:
        yield from ((number, made.results) for number in range(len(batches)))

    check(root, [job], Keeping(brave=True))
    make(made.optimizer, root, job, Progress(len(made.results), quiet=True), finished)


def _keep_from_picture(root: Path, unit: Origin, made: Made, files: OpenedFiles) -> str:
    """Write a picture shifted towards the unit under the picture's name, beside earlier ones."""
    below, stamp = layer_path(unit.layer), files.stamp()
    if below is None:
        raise StampError("no folder has its name")
    place = root / FROM_PICTURES / below
    if sentence := foreign(place, root, stamp):
        raise StampError(sentence)
    write_stamp(place, stamp)
    data = encoded(picture_of(made.optimizer, made.results[0]))
    stem = f"{below.name}_{unit.unit:04d}_{Path(made.photo).stem}"
    for number in itertools.count(1):
        path = place / f"{stem}{'' if number == 1 else f'_{number}'}.jpg"
        if not path.exists():
            write(path, data)
        elif path.read_bytes() != data:
            continue
        break
    return str(path.relative_to(root))


def _keep_patches(folder: UnitFolder, found: UnitPatches, files: OpenedFiles) -> None:
    root, stamp = Path(folder.root or ""), files.stamp()
    for kind in (PATCHES, DECONV):
        place = folder.pictures(kind, found.unit.layer)
        sentence = foreign(place, root, stamp) if place is not None else "no folder has its name"
        if sentence:
            raise StampError(sentence)
    names = [""] * (1 + max(patch.entry.image for patch in found.patches))
    writer = Writer(root, root, found.unit.layer, (), False, names, found.background, stamp)
    for patch in found.patches:
        writer.add(patch)
    writer.finish()
