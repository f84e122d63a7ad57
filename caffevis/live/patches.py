"""The top patches of one unit, so far, and their deconvs: from a scan's newest file to pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from caffevis.keys.state import Origin
from caffevis.live.order import net_files, recipe_of
from caffevis.live.request import PatchRequest, UnitPatches
from caffevis.model.layer_list import NetLike
from caffevis.model.opened_files import OpenedFiles
from caffevis.model.opening import compute_on, engine_net
from caffevis.units.image_paths import KINDS
from find_maxes.crops import patch_pictures
from find_maxes.crops.patch_pictures import as_tile, tiled
from find_maxes.crops.patches import Entry, Patch, Patcher, entries_of
from find_maxes.errors import FindMaxesError
from find_maxes.options import USER_ERRORS
from find_maxes.photos.decoders import Decoder
from find_maxes.photos.photo_list import ImageList
from find_maxes.scan.maxes_file import Maxes, read_so_far
from toolbox.pictures.images import Colour, Image
from toolbox.settings.config import Settings

TOP = 9
# The window's kinds of pictures, by their folder, and the batch tool's.
DRAWN = {kind.unit_folder: kind for kind in patch_pictures.KINDS if kind.unit_folder}


class Patches:
    """Makes patches on demand; all in one thread.

    Parameters
    ----------
    settings : Settings
        They name the network.
    net : NetLike
        The window's, whose parameters are used where it is the bundled engine's.
    images : ImageList
        The photos, as the scan began with them.
    files : OpenedFiles, optional
        What the window's network was read from: no other files are taken.
    """

    def __init__(
        self,
        settings: Settings,
        net: NetLike,
        images: ImageList,
        files: OpenedFiles | None = None,
    ) -> None:
        self._settings, self._images, self._files = settings, images, files
        self._recipe = recipe_of(settings, net)
        # What divides the input by a deviation is a layer of the window's net, and here it is
        # part of the recipe.
        self._net = None if self._recipe.deviation else engine_net(net)
        self._checked = False
        self._last: tuple[Origin, list[Entry], UnitPatches] | None = None

    def __call__(self, request: PatchRequest) -> Iterator[UnitPatches]:
        """Make a unit's patches, where these are others than the last ones."""
        compute_on(1)
        try:
            yield self._patches(request)
        except USER_ERRORS as error:
            yield UnitPatches(request.unit, {}, error=str(error))

    def _patches(self, request: PatchRequest) -> UnitPatches:
        layer, unit = request.unit.layer, request.unit.unit
        patcher = self._patcher(self._images)
        shape = patcher.shapes.get(layer, ())
        maxes = read_so_far(Path(request.saved), layer, shape[1:], self._images)
        if maxes.settings["list_sha256"] != self._images.digest():
            raise FindMaxesError(f"the files in {self._images.folder} have changed meanwhile")
        patcher.check(maxes, [layer])
        entries = entries_of(maxes, layer, [unit], TOP)
        if self._last is not None and self._last[:2] == (request.unit, entries):
            return self._last[2]
        found = self._made(request.unit, maxes, entries, patcher)
        self._last = request.unit, entries, found
        return found

    def _made(
        self, unit: Origin, maxes: Maxes, entries: list[Entry], patcher: Patcher
    ) -> UnitPatches:
        bad: dict[int, str] = {}
        parts = list(dict.fromkeys([patch_pictures.PICTURE, *(k.source for k in DRAWN.values())]))
        with Decoder(maxes.recipe, patcher.size, 0) as decoder:
            made = sorted(
                patcher.run(unit.layer, entries, parts, decoder, bad), key=lambda p: p.entry.rank
            )
        # A photo that has become another one does not excite the unit as it did.
        patches = [patch for patch in made if patch.is_reproduced()]
        left, note = len(entries) - len(patches), ""
        if left:
            count = "1 photo has" if left == 1 else f"{left} photos have"
            note = f"{count} changed since the scan: {'its' if left == 1 else 'their'} patches of "
            note += f"{unit.layer}:{unit.unit} are left out"
        if not patches:
            return UnitPatches(unit, {}, error=note)
        pictures = {
            kind: _nine(DRAWN[kind.folder], patches, maxes.recipe.fill_colour())
            for kind in KINDS
            if kind.folder in DRAWN
        }
        return UnitPatches(unit, pictures, tuple(patches), maxes.recipe.fill_colour(), note=note)

    def _patcher(self, images: ImageList) -> Patcher:
        """Return a net for this request alone: what it computes is large, and goes with it."""
        files = net_files(self._settings)
        own = self._net is None
        net = files.open() if self._net is None else self._net
        if self._files and not self._checked:
            why = self._files.changed() if own else self._files.beside_changed()
            if why:
                raise FindMaxesError(why)
        self._net, self._checked = net, True
        return Patcher(files, self._recipe, images, net.twin())


def _nine(kind: patch_pictures.Kind, patches: Sequence[Patch], background: Colour) -> Image:
    """Lay the patches out as the batch tool does."""
    tiles = {p.entry.rank: as_tile(kind.draw(p.parts[kind.source])) for p in patches}
    return tiled([tiles.get(rank) for rank in range(TOP)], background)
