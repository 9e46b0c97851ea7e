"""Conversations of the Responses API through several unsynchronised gateway instances, measured."""
