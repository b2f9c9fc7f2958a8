"""A browser of one rater, as far as it takes for tests without one."""

import re

from jaxloop.review import app

PORT = 5000
BASE = f"http://127.0.0.1:{PORT}"


class Client:
    """Keeps cookies and knows the page's token. rater: the name to give at once; "" for none."""

    def __init__(self, application, rater: str = "ada"):
        self._client = application.test_client()
        self.served = application.extensions["review"]
        self.rater = self.served.rater or rater
        if rater and not self.served.rater:
            assert self.post("/name", name=rater).status_code == 200

    def get(self, path: str, **headers):
        return self._client.get(path, base_url=BASE, headers=headers, buffered=True)

    def post(self, path: str, **body):
        headers = {app.TOKEN: self.served.token, "Origin": BASE}
        return self._client.post(
            path, base_url=BASE, json={"rater": self.rater} | body, headers=headers
        )

    def vote(self, picture, verdict="keep"):
        identity = next(i for i, known in self.served.picture.items() if known == picture)
        return self.post("/vote", picture=identity, verdict=verdict)

    def vote_on_all(self, verdict=lambda picture: "keep"):
        for picture in self.served.material.pictures:
            assert self.vote(picture, verdict(picture)).status_code == 200

    def shown(self) -> list:
        """The pictures of all pages, in their order, with what is marked on them."""
        tiles, number = [], 1
        while (answer := self.get(f"/page/{number}")).status_code == 200:
            tiles += re.findall(r'id="p-(\w+)".*?data-verdict="(\w*)"', answer.text, re.DOTALL)
            number += 1
        return [(self.served.picture[identity], verdict) for identity, verdict in tiles]
