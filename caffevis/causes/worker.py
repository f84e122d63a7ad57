"""Causes in the worker's thread: trials and the answers to questions, each computed once."""

from __future__ import annotations

import numpy as np

from caffevis.causes.accounts import explain
from caffevis.causes.asked import Account, Effect, Question, Ranking, Trial
from caffevis.causes.engine import holder
from caffevis.causes.ranking import Rankings
from caffevis.causes.trials import Trials
from caffevis.keys.causes import MATTERS
from caffevis.model.layer_list import NetLike
from caffevis.model.preprocess import Preprocess
from toolbox.input.frame import Frame


class CausesWorker:
    """What `caffevis.net.network` asks for.

    Parameters
    ----------
    net, prepare, image_input, prob_layer
        See `Trials`.
    """

    def __init__(
        self, net: NetLike, prepare: Preprocess, image_input: str, prob_layer: str | None
    ) -> None:
        self._net, self._prob_layer = net, prob_layer
        self._trials = Trials(net, prepare, image_input, prob_layer)
        self._rank = Rankings(net, self._trials.units, prob_layer, holder(net))
        self._answered: tuple[Question, Trial | None] | None = None
        self._answer: Ranking | Account | None = None

    @property
    def trial(self) -> Trial | None:
        """What was done to the net and the frame that it holds."""
        return self._trials.trial

    def forget(self) -> None:
        """Take it that the net is about to hold another frame."""
        self._trials.forget()
        self._answered = self._answer = None

    def take(self, frame: Frame, trial: Trial | None) -> None:
        """Make the net hold what a trial makes of its frame; None: the frame itself again."""
        self._answered = self._answer = None
        self._trials.take(frame, trial)

    def effect(self, layer: str, frame: Frame) -> Effect | None:
        """Say what the trial changed, and count the layer's values towards the means."""
        self._trials.see(layer, frame)
        return self._trials.effect(layer)

    def answer(self, question: Question) -> tuple[Ranking | Account, bool]:
        """Answer a question; say whether diffs of other passes were lost by that."""
        if self._answered == (question, self.trial) and self._answer is not None:
            return self._answer, False
        if question.kind == MATTERS:
            self._answer = self._rank(question, self._top())
        else:
            held = (question.layer, question.unit) in self._trials.held
            self._answer = explain(self._net, self._trials.units, question, held)
        self._answered = (question, self.trial)
        return self._answer, question.kind == MATTERS

    def _top(self) -> int | None:
        """Return the class of highest probability, of the undisturbed frame."""
        if self._prob_layer is None:
            return None
        return int(np.nan_to_num(self._trials.undisturbed(self._prob_layer)).argmax())
