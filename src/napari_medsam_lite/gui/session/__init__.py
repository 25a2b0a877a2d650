"""What a dock does: state, controller and the tasks that run for it."""
