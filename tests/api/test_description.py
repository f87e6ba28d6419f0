"""The description of the API: complete, and readable without any other host."""

from __future__ import annotations

import re

from tests.api.planes import empty_plane


async def describe(connect):
    return (await connect(empty_plane()).get("/openapi.json")).json()


async def test_every_model_and_every_field_is_described(connect):
    schemas = (await describe(connect))["components"]["schemas"]
    missing = [
        f"{name}.{field}"
        for name, schema in schemas.items()
        for field, inner in schema.get("properties", {}).items()
        if not inner.get("description")
    ]
    assert missing == []
    assert [name for name, schema in schemas.items() if "enum" not in schema and not schema.get("description")] == []


async def test_every_operation_and_parameter_is_described(connect):
    paths = (await describe(connect))["paths"]
    operations = [operation for methods in paths.values() for operation in methods.values()]
    assert len(operations) == 17
    assert all(operation["description"] for operation in operations)
    assert all(parameter["description"] for item in operations for parameter in item.get("parameters", ()))


async def test_errors_are_described_as_problems_and_nothing_else(connect):
    paths = (await describe(connect))["paths"]
    for methods in paths.values():
        for operation in methods.values():
            assert [status for status in operation["responses"] if not status.startswith("2")] == ["default"]
            content = operation["responses"]["default"]["content"]
            assert content == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


async def test_the_documentation_page_names_no_other_host(connect):
    response = await connect(empty_plane()).get("/docs")
    assert response.headers["content-type"].startswith("text/html")
    assert not re.search(r"https?://|//[a-z]+\.", response.text.replace("// ", ""))
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy


async def test_pages_that_load_scripts_from_elsewhere_are_not_there(connect):
    client = connect(empty_plane())
    assert (await client.get("/redoc")).status_code == 404
    assert "cdn" not in (await client.get("/docs")).text
