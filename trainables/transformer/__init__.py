"""A decoder-only transformer over the bytes of a text: `train(config)`, the model, and the stages it is cut into."""

from paretune.trainables.transformer.loop import TransformerConfig, train
from paretune.trainables.transformer.model import Transformer, next_byte_loss

__all__ = ["Transformer", "TransformerConfig", "next_byte_loss", "train"]
