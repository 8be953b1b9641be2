"""The course's checker of the second upload, played on the files of the current directory.

    python -I play_ab.py play.json

Any Python from 3.8. Writes the group and the list of each request.
"""

import json
import os
import sys
from datetime import datetime

from fastapi.testclient import TestClient


def main(path):
    sys.path.insert(0, os.getcwd())
    with open(path) as file:
        given = json.load(file)
    os.environ["IS_LMS"] = "1"
    import app

    for group in ("control", "test"):
        assert app.get_model_path(group) == f"/workdir/user_input/model_{group}"
    app.get_model_path = lambda group: os.path.abspath(f"model_{group}")
    models = app.load_models()
    assert models["control"] is app.load_models()["control"] is not models["test"]
    code = sys.modules["feedrank"].__file__
    assert code.startswith(os.path.abspath("model_")), f"feedrank comes from '{code}'"
    client, answers = TestClient(app.app), []
    for number, (user_id, moment) in enumerate(given["requests"]):
        query = {"id": user_id, "time": moment, "limit": given["limit"]}
        answer = client.get("/post/recommendations" + "/" * (number % 2), params=query)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert set(found) == {"exp_group", "recommendations"}
        assert found["exp_group"] == app.get_exp_group(user_id)
        assert all(set(post) == {"id", "text", "topic"} for post in found["recommendations"])
        answers.append([found["exp_group"], [post["id"] for post in found["recommendations"]]])
    unknown = client.get("/post/recommendations/", params={**query, "id": -1})
    assert unknown.status_code == 404, unknown.text
    direct = app.recommended_posts(user_id, datetime.fromisoformat(moment), given["limit"])
    assert [direct.exp_group, [post.id for post in direct.recommendations]] == answers[-1]
    with open("played.json", "w") as file:
        json.dump(answers, file)


if __name__ == "__main__":
    main(sys.argv[1])
