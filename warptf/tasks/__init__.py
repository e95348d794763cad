"""Task distributions and the data they read."""

from warptf.tasks.affine_distortion import AffineDistortion
from warptf.tasks.character_bank import CharacterBank
from warptf.tasks.glyphs import glyph_bank
from warptf.tasks.multi_shot import MultiShot
from warptf.tasks.omniglot import omniglot_bank, prepare_omniglot
from warptf.tasks.task import Task

__all__ = [
    "AffineDistortion",
    "CharacterBank",
    "MultiShot",
    "Task",
    "glyph_bank",
    "omniglot_bank",
    "prepare_omniglot",
]
