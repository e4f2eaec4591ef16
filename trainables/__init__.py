"""The training systems that ship with paretune: one module each, each an ordinary Ray Train loop `train(config)`."""
