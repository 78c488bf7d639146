"""Movies and shows for the contract tests, in MongoDB's form and in the API's."""

from datetime import UTC, datetime
from typing import Any

from bson import ObjectId

_DRIVER_FIELDS = {
    "__v": 3,
    "createdAt": datetime(2024, 1, 1, tzinfo=UTC),
    "updatedAt": datetime(2024, 1, 2, tzinfo=UTC),
}

MATRIX_ID = "507f1f77bcf86cd799439012"
MATRIX_DOCUMENT: dict[str, Any] = {
    "_id": ObjectId(MATRIX_ID),
    "title": "The Matrix",
    "description": "A computer programmer discovers that reality is a simulation",
    "genres": ["SciFi", "Action"],
    "releaseDate": datetime(1999, 3, 31, tzinfo=UTC),
    "director": "Lana Wachowski, Lilly Wachowski",
    "actors": ["Keanu Reeves", "Laurence Fishburne", "Carrie-Anne Moss"],
    **_DRIVER_FIELDS,
}
MATRIX = {
    "id": MATRIX_ID,
    "title": "The Matrix",
    "description": "A computer programmer discovers that reality is a simulation",
    "genres": ["SciFi", "Action"],
    "releaseDate": "1999-03-31T00:00:00.000Z",
    "director": "Lana Wachowski, Lilly Wachowski",
    "actors": ["Keanu Reeves", "Laurence Fishburne", "Carrie-Anne Moss"],
}

SHOW_ID = "507f1f77bcf86cd799439021"
SHOW_DOCUMENT: dict[str, Any] = {
    "_id": ObjectId(SHOW_ID),
    "title": "Dark & “Light”",
    "description": 'Says "hello"\n\tand leaves',
    "genres": ["Drama"],
    "episodes": [
        {
            "_id": ObjectId(),
            **_DRIVER_FIELDS,
            "episodeNumber": 1,
            "seasonNumber": 1,
            "releaseDate": datetime(2017, 12, 1, 8, 30, 15, 250_000, tzinfo=UTC),
            "director": "Baran bo Odar",
            "actors": ["Louis Hofmann"],
            "crew": [{"_id": ObjectId(), "name": "Jantje Friese", "__v": 0}],
        },
        {"_id": ObjectId(), "episodeNumber": 2, "seasonNumber": 1},
    ],
    **_DRIVER_FIELDS,
}
SHOW = {
    "id": SHOW_ID,
    "title": "Dark & “Light”",
    "description": 'Says "hello"\n\tand leaves',
    "genres": ["Drama"],
    "episodes": [
        {
            "episodeNumber": 1,
            "seasonNumber": 1,
            "releaseDate": "2017-12-01T08:30:15.250Z",
            "director": "Baran bo Odar",
            "actors": ["Louis Hofmann"],
            "crew": [{"name": "Jantje Friese"}],
        },
        {"episodeNumber": 2, "seasonNumber": 1},
    ],
}

MOVIE_IDS = [f"{0xABC00000 + number:024x}" for number in range(40)]
MOVIE_DOCUMENTS: list[dict[str, Any]] = [
    {"_id": ObjectId(movie_id), "title": f"Movie {number}"} for number, movie_id in enumerate(MOVIE_IDS)
]

UNKNOWN_ID = "ffffffffffffffffffffffff"
