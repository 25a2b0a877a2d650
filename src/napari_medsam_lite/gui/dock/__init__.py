"""The dock widgets and their parts: they show the state and hand presses on."""
