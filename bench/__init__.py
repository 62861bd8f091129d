"""Measurements of the simulated optics, as commands: python -m bench COMMAND"""
