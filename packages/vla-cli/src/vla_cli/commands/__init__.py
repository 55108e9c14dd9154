"""One module per group of commands; libraries are imported inside the command bodies."""
