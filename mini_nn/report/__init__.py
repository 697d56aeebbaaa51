"""report.html: what a run was and what came of it, in one file that opens anywhere, offline.

Every picture is decoded and encoded anew, so that nothing which a camera writes beside the pixels, where a photograph was
taken, say, gets into the file.  The page loads nothing, and tells the browser to refuse to.
"""

from mini_nn.report.page import versions, write

__all__ = ["versions", "write"]
