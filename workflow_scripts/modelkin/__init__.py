"""modelkin: which image classifiers have learned the same thing?"""

__version__ = "0.1.0"
