"""Payload → the array the weights were trained on; one file a modality."""

from cutpoint.preprocess.image import decode_image, fit_to_recipe, prepare_image

__all__ = ["decode_image", "fit_to_recipe", "prepare_image"]
