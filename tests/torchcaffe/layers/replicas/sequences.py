"""LSTM and RNN, and those of forks, one step and one stream at a time."""

from __future__ import annotations

import numpy as np

from tests.torchcaffe.layers.replicas.case import array, maker


def _sigmoid(v):
    return 1 / (1 + np.exp(-v))


def _inputs(p, bottoms, params, states):
    """Return x flat, cont, the static input's part of the gates and the first states."""
    q = p.recurrent_param
    exposed = states if q.expose_hidden else 0
    x = bottoms[0].reshape(*bottoms[0].shape[:2], -1)
    shape = (x.shape[1], q.num_output)
    first = [b[0] for b in bottoms[len(bottoms) - exposed :]] if exposed else []
    first = first or [np.zeros(shape) for _ in range(states)]
    static = 0.0
    if len(bottoms) > 2 + exposed:
        static = bottoms[2].reshape(len(bottoms[2]), -1) @ params[2].T
    return x, bottoms[1], static, first


def lstm(p, bottoms, params, first=None):
    """Gates in the order input, forget, output, candidate."""
    x, cont, static, (hidden, cell) = _inputs(p, bottoms, params, 2)
    if first is not None:
        hidden, cell = first
    size, out = p.recurrent_param.num_output, []
    for t in range(len(x)):
        new_hidden, new_cell = np.zeros_like(hidden), np.zeros_like(cell)
        for n in range(x.shape[1]):
            gates = params[0] @ x[t, n] + params[1] + params[-1] @ (cont[t, n] * hidden[n])
            gates = gates + (static[n] if np.ndim(static) else 0)
            for d in range(size):
                i, f, o = (_sigmoid(gates[d + size * k]) for k in range(3))
                f = 0.0 if cont[t, n] == 0 else f * cont[t, n]
                new_cell[n, d] = f * cell[n, d] + i * np.tanh(gates[d + 3 * size])
                new_hidden[n, d] = o * np.tanh(new_cell[n, d])
        hidden, cell = new_hidden, new_cell
        out.append(hidden)
    return [np.stack(out), hidden[None], cell[None]][: len(p.top)]


def rnn(p, bottoms, params, first=None):
    """Hidden units, and outputs made of them."""
    x, cont, static, (hidden,) = _inputs(p, bottoms, params, 1)
    if first is not None:
        (hidden,) = first
    out = []
    for t in range(len(x)):
        old = cont[t][:, None] * hidden
        hidden = np.tanh(x[t] @ params[0].T + params[1] + static + old @ params[-3].T)
        out.append(np.tanh(hidden @ params[-2].T + params[-1]))
    return [np.stack(out), hidden[None]][: len(p.top)]


def fork_lstm(p, bottoms, params):
    """CTPN's and junhyukoh's Lstm: without marks each pass begins anew."""
    q, size = p.lstm_param, p.lstm_param.num_output
    steps = bottoms[0].shape[0] if bottoms[0].ndim > 2 else bottoms[0].shape[0] // q.batch_size
    x = bottoms[0].reshape(steps, -1, params[0].shape[1])
    marks = np.ones(x.shape[:2])
    marks[0] = 0
    if len(bottoms) > 1:
        marks = bottoms[1].reshape(marks.shape)
    hidden, cell = np.zeros((x.shape[1], size)), np.zeros((x.shape[1], size))
    out = np.zeros((*x.shape[:2], size))
    for t, n in np.ndindex(*x.shape[:2]):
        gates = params[0] @ x[t, n] + params[2]
        if marks[t, n]:
            gates = gates + params[1] @ hidden[n]
        i, f, o, g = (gates[size * k : size * (k + 1)] for k in range(4))
        f = _sigmoid(f) if marks[t, n] else 0
        cell[n] = f * cell[n] + _sigmoid(i) * np.tanh(g)
        hidden[n] = _sigmoid(o) * np.tanh(cell[n])
        out[t, n] = hidden[n]
    lead = bottoms[0].shape[:1] if bottoms[0].ndim == 2 else bottoms[0].shape[:2]
    return [out.reshape(*lead, size)]


def lstm_unit(p, bottoms, params):
    """One step; the marks scale what is kept."""
    cell, gates, marks = bottoms
    size = cell.shape[2]
    new, hidden = np.zeros_like(cell), np.zeros_like(cell)
    for n, d in np.ndindex(*cell.shape[1:]):
        i, f, o, g = (gates[0, n, d + size * k] for k in range(4))
        new[0, n, d] = marks.ravel()[n] * _sigmoid(f) * cell[0, n, d] + _sigmoid(i) * np.tanh(g)
        hidden[0, n, d] = _sigmoid(o) * np.tanh(new[0, n, d])
    return [new, hidden]


def continuation(p, bottoms, params):
    """Zeros in the first step, then ones."""
    q = p.continuation_indicator_param
    streams = len(bottoms[0]) if bottoms else q.batch_size
    return [np.array([[float(t > 0)] * streams for t in range(q.time_step)])]


def _small(number, shape, rng):
    return rng.normal(size=shape) * 0.6


CONT = array([0, 0], [1, 1], [1, 0], [1, 1])  # the second stream begins anew at step 2
LSTM = maker("LSTM", lstm, params=_small)
RNN = maker("RNN", rnn, params=_small)
FORK = maker("Lstm", fork_lstm, params=_small)
UNIT = maker("LSTMUnit", lstm_unit, tops=2, diff_tops=(0, 1), labels=(2,))
MARKS = maker("ContinuationIndicator", continuation, gradient="zero")
PLAIN = "recurrent_param { num_output: 3 }"
OPEN = "recurrent_param { num_output: 3 expose_hidden: true }"
STATE = (1, 2, 3)
CASES = [
    LSTM("resets", PLAIN, (4, 2, 5), CONT, labels=(1,), param_shapes=[(12, 5), (12,), (12, 3)]),
    LSTM("goes_on", PLAIN, (4, 2, 5), np.ones((4, 2)), labels=(1,)),
    LSTM("static", PLAIN, (4, 2, 5), CONT, (2, 4), labels=(1,),
         param_shapes=[(12, 5), (12,), (12, 4), (12, 3)]),
    LSTM("exposed", OPEN, (4, 2, 5), np.ones((4, 2)), STATE, STATE, tops=3, diff_tops=(0,),
         labels=(1,)),
    LSTM("exposed_static", OPEN, (4, 2, 2, 2), CONT, (2, 2, 2), STATE, STATE, tops=3, labels=(1,)),
    LSTM("part_cont", PLAIN, (3, 2, 5), array([0, 1], [0.5, 1], [1, 0.25]), labels=(1,)),
    RNN("resets", PLAIN, (4, 2, 5), CONT, labels=(1,),
        param_shapes=[(3, 5), (3,), (3, 3), (3, 3), (3,)]),
    RNN("static", PLAIN, (4, 2, 5), CONT, (2, 4), labels=(1,),
        param_shapes=[(3, 5), (3,), (3, 4), (3, 3), (3, 3), (3,)]),
    RNN("exposed", OPEN, (4, 2, 5), np.ones((4, 2)), STATE, tops=2, labels=(1,)),
    FORK("ctpn", "lstm_param { num_output: 3 }", (4, 2, 5),
         param_shapes=[(12, 5), (12, 3), (12,)]),
    FORK("more_axes", "lstm_param { num_output: 2 }", (3, 2, 2, 2)),
    FORK("rows", "lstm_param { num_output: 3 batch_size: 2 }", (6, 4)),
    FORK("marks", "lstm_param { num_output: 3 }", (4, 2, 5), CONT.reshape(8), labels=(1,)),
    UNIT("marks", "", (1, 2, 3), (1, 2, 12), array([1.0, 0.0])),
    UNIT("part", "", (1, 2, 3), (1, 2, 12), array([[0.5, 1.0]])),
    MARKS("alone", "continuation_indicator_param { time_step: 3 batch_size: 2 }"),
    MARKS("by_bottom", "continuation_indicator_param { time_step: 2 }", (3, 4)),
]  # fmt: skip
