"""How work runs outside the script: queues, their register, cancelling, and cleaning up."""
