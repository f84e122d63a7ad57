"""The window on disk: in come its pictures, out PNG files (`snapshots`) and films."""

from toolbox.record.film import Film, LiveFilm, ScriptedFilm

__all__ = ["Film", "LiveFilm", "ScriptedFilm"]
