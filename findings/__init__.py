"""Nine findings about the bundled model, each with the command that shows it."""
