"""A Flask-SocketIO app that behaves as the school's: it takes `frame` on `/stream` and broadcasts it to its pages."""
