"""What units see: in come a scan's result and the photos, out patches and their deconvs."""
