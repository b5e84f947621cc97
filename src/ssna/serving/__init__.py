"""A trained run as an HTTP service (extra ``serve``); :mod:`ssna.serving.service` is the part without HTTP."""
