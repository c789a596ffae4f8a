"""The web page of `seedx serve --ui`: gradio's components over the same service that answers the API.

about.py    what a model's folder says of itself on the page: its limits in words, its examples
visits.py   what one open page has: its conversation, its drawings, what runs for it
turns.py    one reply of the service, as it comes, until it ends or is stopped
show.py     conversations, stories and drawings as HTML
*_tab.py    one tab each
mount.py    the page in the application, and what it must not do there
"""
