"""Task distributions and the data they read."""

from warptf.tasks.affine_distortion import AffineDistortion
from warptf.tasks.character_bank import CharacterBank
from warptf.tasks.class_split import ClassSplit
from warptf.tasks.continual_classes import ContinualClasses
from warptf.tasks.continual_sine import ContinualSine
from warptf.tasks.continual_tasks import ContinualTasks, SubTask
from warptf.tasks.csv_images import csv_images_bank
from warptf.tasks.feature_bank import FeatureBank, feature_bank
from warptf.tasks.few_shot import FewShot
from warptf.tasks.glyphs import glyph_bank
from warptf.tasks.held_out_images import held_out_images
from warptf.tasks.image_augmentation import ImageAugmentation
from warptf.tasks.image_bank import ImageBank
from warptf.tasks.image_decoding import decode_image
from warptf.tasks.image_folder import image_folder_bank
from warptf.tasks.multi_shot import MultiShot
from warptf.tasks.omniglot import omniglot_bank, prepare_omniglot
from warptf.tasks.omniglot_characters import (
    alphabet_split,
    character_classes,
    omniglot_characters,
)
from warptf.tasks.padded_tasks import padded_tasks
from warptf.tasks.sine import Sine
from warptf.tasks.surfaces import Surfaces
from warptf.tasks.task import Task
from warptf.tasks.tfds_bank import cifar_fs, fc100, tfds_bank
from warptf.tasks.tiered_imagenet import tiered_imagenet_bank
from warptf.tasks.unlabelled_images import images_bank

__all__ = [
    "AffineDistortion",
    "CharacterBank",
    "ClassSplit",
    "ContinualClasses",
    "ContinualSine",
    "ContinualTasks",
    "FeatureBank",
    "FewShot",
    "ImageAugmentation",
    "ImageBank",
    "MultiShot",
    "Sine",
    "SubTask",
    "Surfaces",
    "Task",
    "alphabet_split",
    "character_classes",
    "cifar_fs",
    "csv_images_bank",
    "decode_image",
    "fc100",
    "feature_bank",
    "glyph_bank",
    "held_out_images",
    "image_folder_bank",
    "images_bank",
    "omniglot_bank",
    "omniglot_characters",
    "padded_tasks",
    "prepare_omniglot",
    "tfds_bank",
    "tiered_imagenet_bank",
]
