"""The application behind the screens: what runs, what is asked, and the terminal it runs in."""
