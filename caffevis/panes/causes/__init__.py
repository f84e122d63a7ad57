"""What causes look like: in come results with effects and answers, out pictures in the panes."""
