"""The pages of ``http_hmac_cookie``: a form to log in, and a word to who is known and may not."""

from html import escape

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 22rem; margin: 15vh auto; padding: 0 1rem }}
label {{ display: block; margin: 1rem 0 }}
input {{ font: inherit; width: 100%; box-sizing: border-box; padding: .4rem }}
button {{ font: inherit; padding: .4rem 1.2rem }}
.failed {{ font-weight: bold }}
</style></head><body>
{body}
</body></html>
"""

_FORM = """<form method="POST" action="/login" enctype="application/x-www-form-urlencoded">
{said}<input type="hidden" name="whereto" value="{whereto}"/>
<label>User <input type="text" name="username" autocomplete="username" autofocus/></label>
<label>Password <input type="password" name="password" autocomplete="current-password"/></label>
<button>Log in</button>
</form>"""


def form(whereto: str, said: str = "") -> str:
    """The form; *whereto*, a path that follows it; *said*, why it is shown again."""
    told = f'<p class="failed" role="alert">{escape(said)}</p>\n' if said else ""
    return _PAGE.format(title="Log in", body=_FORM.format(said=told, whereto=escape(whereto)))


def denied(user: str, login: str) -> str:
    """What *user* reads who may not see a page; *login* leads to the form."""
    body = f'<p>{escape(user)} may not see this page.</p>\n<p><a href="{escape(login)}">Log in as somebody else</a></p>'
    return _PAGE.format(title="Denied", body=body)


def closed() -> str:
    """What is read where access control denies the form itself."""
    body = "<p>Nobody can log in: access control denies <code>/login</code>.</p>"
    return _PAGE.format(title="No login", body=body)
