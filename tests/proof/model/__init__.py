"""A model of the worst day: runners that die and race, stores and an API that lose answers, all in one process.

``baton`` lets one runner at a time take a step. ``world`` has what the runners share: Octopush, the
stores and the clock. ``reference`` knows what exists and who may know it, and checks the rules.
``commands`` are what a person types. ``life`` is the Hypothesis state machine.
"""
