"""The part of a net that an ascent needs: in come layers and a place, out a section and a crop."""
