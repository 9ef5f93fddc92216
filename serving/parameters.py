"""Parameters of the query that a route does not have are refused: a misspelt filter would let everything pass."""

from fastapi import Request

from serving.problems import RequestProblem


async def known_parameters(request: Request) -> None:
    """A dependency of routes that answer 422. Raises RequestProblem `invalid_item`."""
    if not request.query_params:  # nearly always; and the document is made when it is first asked for
        return
    operation = request.app.openapi()["paths"][request.scope["route"].path][request.method.lower()]
    known = sorted(found["name"] for found in operation.get("parameters", ()) if found["in"] == "query")
    if not set(request.query_params) <= set(known):
        expected = f"expected of the query {', '.join(known)} at most" if known else "expected no query"
        # Not what was found: it is the client's.
        raise RequestProblem("invalid_item", f"{expected}; found another parameter; correct its name or leave it out")
