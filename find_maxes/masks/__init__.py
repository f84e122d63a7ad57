"""Network Dissection: in come masks of concepts, out the concept that each unit covers best."""
