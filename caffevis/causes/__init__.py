"""Causes: in come the net, lesions, a disturbance and a question, out what they change and why."""
