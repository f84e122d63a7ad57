"""The command line: in come words and the settings file, out checked parameters and an open net."""
