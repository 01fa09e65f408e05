"""The live screen of ``exai monitor top``: from a state and what is chosen to lines. Pure."""
