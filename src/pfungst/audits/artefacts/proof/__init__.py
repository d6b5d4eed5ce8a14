"""Proving marks: taken out, put in elsewhere, and the same with a control."""
