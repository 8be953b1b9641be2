"""The course's checker, played on the files of the current directory; any Python from 3.8.

    python -I play.py play.json

Imports `app` as the course does, calls its model and its routes, and writes a report. Only the
model file may make this project's modules importable.
"""

import json
import os
import platform
import re
import sys
import time
import warnings
from datetime import datetime

from fastapi.testclient import TestClient

COURSE_PATH = "/workdir/user_input/model"
PACKAGES = ("fastapi", "pydantic", "numpy", "pandas", "xgboost", "scipy")


def load():
    """The app and its model, read from where the course keeps it, redirected to this directory."""
    sys.path.insert(0, os.getcwd())
    assert "IS_LMS" not in os.environ
    os.environ["IS_LMS"] = "1"
    import app

    assert app.get_model_path("somewhere/model") == COURSE_PATH
    del os.environ["IS_LMS"]
    assert app.get_model_path("somewhere/model") == "somewhere/model"
    app.get_model_path = lambda _: os.path.abspath("model")
    model = app.load_models()
    code = sys.modules["feedrank"].__file__
    assert code.startswith(os.path.abspath("model")), f"feedrank comes from '{code}', not the model"
    return app, model


def largest_difference(model, given):
    """Largest difference of probabilities from the service's own, for arrays and for tables."""
    import numpy as np  # only now: the app imports it first, as in the course's checker
    import pandas as pd

    matrix = np.array(given["matrix"], dtype=np.float32)
    table = pd.DataFrame(matrix, columns=given["features"])
    found = model.predict_proba(matrix)
    assert found.shape == (len(matrix), 2)
    assert np.allclose(found.sum(axis=1), 1)
    assert np.array_equal(found, model.predict_proba(table[given["features"][::-1]]))
    assert np.array_equal(model.predict(table), (found[:, 1] > found[:, 0]).astype(int))
    return float(np.abs(found[:, 1] - np.array(given["probability"])).max())


def ask(app, given):
    """Ids of each list and the milliseconds it took, with and without the trailing slash."""
    client = TestClient(app.app)
    lists, milliseconds = [], []
    for number, (user_id, moment) in enumerate(given["requests"]):
        query = {"id": user_id, "time": datetime.fromisoformat(moment), "limit": given["limit"]}
        path = "/post/recommendations" + "/" * (number % 2)
        began = time.perf_counter()
        answer = client.get(path, params=query)
        milliseconds.append(1000 * (time.perf_counter() - began))
        assert answer.status_code == 200, answer.text
        posts = answer.json()
        assert all(set(post) == {"id", "text", "topic"} for post in posts)
        lists.append([post["id"] for post in posts])
    unknown = client.get(path, params={**query, "id": -1})
    assert unknown.status_code == 404, unknown.text
    direct = app.recommended_posts(user_id, datetime.fromisoformat(moment))
    assert [post.id for post in direct][: given["limit"]] == lists[-1]
    assert len(direct) == 10
    return lists, milliseconds


def most_megabytes():
    """The most memory that this process has had resident; `getrusage` would count its parent's."""
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1)) / 1024


def main(path):
    with open(path) as file:
        given = json.load(file)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        began = time.perf_counter()
        app, model = load()
        seconds = time.perf_counter() - began
        difference = largest_difference(model, given)
        lists, milliseconds = ask(app, given)
    found = {
        "python": platform.python_version(),
        "versions": {n: sys.modules[n].__version__ for n in PACKAGES if n in sys.modules},
        "load_seconds": seconds,
        "difference": difference,
        "lists": lists,
        "milliseconds": milliseconds,
        "megabytes": most_megabytes(),
        "warnings": sorted({f"{w.category.__name__}: {w.message} ({w.filename})" for w in warned}),
    }
    with open("played.json", "w") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main(sys.argv[1])
