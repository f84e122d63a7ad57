"""The parametrisations by name, and which regularisers go with which."""

from __future__ import annotations

from collections.abc import Sequence

from optimize.errors import OptimizeError
from optimize.parametrise.base import Parametrisation
from optimize.parametrise.fourier import Fourier
from optimize.parametrise.maco import Maco
from optimize.parametrise.pixels import Pixels
from optimize.params import FindParams
from optimize.regularise.regularisers import Regulariser

PARAMETRISATIONS: dict[str, type[Parametrisation]] = {
    kind.name: kind for kind in (Pixels, Fourier, Maco)
}
_DEFAULTS = FindParams()


def check(params: FindParams, regularisers: Sequence[type[Regulariser]]) -> None:
    """Refuse settings that the parametrisation has no use for.

    Parameters
    ----------
    params : FindParams
        The settings.
    regularisers : sequence of type
        The ordered list.

    Raises
    ------
    OptimizeError
        There is no such parametrisation, or it holds no pixels and a regulariser, policy or
        start is for pixels only.
    """
    name = params.parametrisation
    kind = PARAMETRISATIONS.get(name)
    if kind is None:
        raise OptimizeError(
            f"parametrisation is {name!r}; {', '.join(PARAMETRISATIONS)} are accepted"
        )
    if params.pull and not kind.begins_with_picture:
        raise OptimizeError(
            f"pull holds the image near the picture it starts from, and the parametrisation "
            f"{name!r} begins with the phases of one alone; pixels and fourier go with it"
        )
    if kind.holds_pixels:
        return
    cure = "leave it out, or hold the image as pixels (parametrisation pixels, presets 1 to 4)"
    for regulariser in regularisers:
        if regulariser.after is not Regulariser.after and regulariser.is_on(params):
            others = [r.__name__ for r in regularisers if r.after is Regulariser.after]
            raise OptimizeError(
                f"{regulariser.__name__} changes pixels after each step, and the parametrisation "
                f"{name!r} holds none; {', '.join(others)} go with it: {cure}"
            )
    if (params.lr_policy, params.rates) != (_DEFAULTS.lr_policy, _DEFAULTS.rates):
        raise OptimizeError(
            f"lr_policy {params.lr_policy!r} steps with pixels, and the parametrisation {name!r} "
            f"steps by Adam, whose rate is adam_rate: {cure}"
        )
    if params.start_at != _DEFAULTS.start_at:
        raise OptimizeError(
            f"start_at {params.start_at!r} is a start of pixels, and the parametrisation {name!r} "
            f"starts by its seed or from images given as facets: {cure}"
        )
