"""Images of units on disk: in come a layer and a unit, out the pictures that the panes show."""
