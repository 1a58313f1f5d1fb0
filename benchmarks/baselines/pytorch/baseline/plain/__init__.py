"""The step as published training code is organised: all patches' logits, losses pair by pair, loops over weights."""
