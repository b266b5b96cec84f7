"""what a reader meets: the answer in words, and one page on which every number can be explored"""

from modelkin.explorer.page import page

__all__ = ["page"]
