"""Whether one network can go on where another one stops: stitches, matched or trained."""
