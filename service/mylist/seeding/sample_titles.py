"""The sample's movies (20) and shows (10), as documents of the collections `movies` and `tvshows`."""

from datetime import UTC, datetime

from bson import ObjectId

from mylist.mongodb.database import Document

CREATED_AT = datetime(2024, 1, 1, tzinfo=UTC)
_ID_PREFIX = "507f1f77bcf86cd7994390"


def sample_id(suffix: int) -> ObjectId:
    """Return the sample id that ends in the given byte; the documented examples end in 0x11 and 0x12."""
    return ObjectId(f"{_ID_PREFIX}{suffix:02x}")


def _movie(  # noqa: PLR0913 - one line per title reads like a table
    suffix: int, title: str, description: str, genres: str, released: str, director: str, actors: str
) -> Document:
    return {
        "_id": sample_id(suffix),
        "title": title,
        "description": description,
        "genres": genres.split(),
        "releaseDate": _day(released),
        "director": director,
        "actors": actors.split(", "),
        "createdAt": CREATED_AT,
        "updatedAt": CREATED_AT,
    }


def _show(suffix: int, title: str, description: str, genres: str, actors: str, *directed: tuple[str, str]) -> Document:
    """Return a show of one season; each episode is given as (release date, director)."""
    episodes = [
        {
            "episodeNumber": number,
            "seasonNumber": 1,
            "releaseDate": _day(released),
            "director": director,
            "actors": actors.split(", "),
        }
        for number, (released, director) in enumerate(directed, start=1)
    ]
    return {
        "_id": sample_id(suffix),
        "title": title,
        "description": description,
        "genres": genres.split(),
        "episodes": episodes,
        "createdAt": CREATED_AT,
        "updatedAt": CREATED_AT,
    }


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# fmt: off
MOVIES = [
    _movie(0x11, "Inception", "A thief who steals secrets from dreams is hired to plant one instead",
           "SciFi Thriller", "2010-07-16", "Christopher Nolan",
           "Leonardo DiCaprio, Joseph Gordon-Levitt, Elliot Page"),
    _movie(0x12, "The Matrix", "A computer programmer discovers that reality is a simulation",
           "SciFi Action", "1999-03-31", "Lana Wachowski, Lilly Wachowski",
           "Keanu Reeves, Laurence Fishburne, Carrie-Anne Moss"),
    _movie(0x13, "The Godfather", "The youngest son of a crime family is drawn into the business he meant to avoid",
           "Crime Drama", "1972-03-24", "Francis Ford Coppola",
           "Marlon Brando, Al Pacino, James Caan"),
    _movie(0x14, "Spirited Away", "A girl takes a job in a bathhouse for spirits to win back her parents",
           "Animation Fantasy", "2001-07-20", "Hayao Miyazaki",
           "Rumi Hiiragi, Miyu Irino, Mari Natsuki"),
    _movie(0x15, "Pulp Fiction", "Hitmen, a boxer and a gangster's wife cross paths in Los Angeles, out of order",
           "Crime Comedy", "1994-10-14", "Quentin Tarantino",
           "John Travolta, Uma Thurman, Samuel L. Jackson"),
    _movie(0x16, "Blade Runner", "A tired detective hunts artificial humans and begins to doubt the difference",
           "SciFi Noir", "1982-06-25", "Ridley Scott",
           "Harrison Ford, Rutger Hauer, Sean Young"),
    _movie(0x17, "Amélie", "A shy waitress in Montmartre secretly arranges other people's happiness",
           "Comedy Romance", "2001-04-25", "Jean-Pierre Jeunet",
           "Audrey Tautou, Mathieu Kassovitz, Rufus"),
    _movie(0x18, "Parasite", "A poor family moves into a rich household, one position at a time",
           "Thriller Drama", "2019-05-30", "Bong Joon-ho",
           "Song Kang-ho, Lee Sun-kyun, Cho Yeo-jeong"),
    _movie(0x19, "Alien", "The crew of a freighter answers a signal and brings something aboard",
           "SciFi Horror", "1979-05-25", "Ridley Scott",
           "Sigourney Weaver, Tom Skerritt, John Hurt"),
    _movie(0x1A, "Casablanca", "A bar owner in wartime Morocco must choose between a lost love and a cause",
           "Drama Romance", "1943-01-23", "Michael Curtiz",
           "Humphrey Bogart, Ingrid Bergman, Paul Henreid"),
    _movie(0x1B, "Jurassic Park", "Visitors preview an island park of living dinosaurs as its fences fail",
           "Adventure SciFi", "1993-06-11", "Steven Spielberg",
           "Sam Neill, Laura Dern, Jeff Goldblum"),
    _movie(0x1C, "The Shawshank Redemption", "A banker keeps hope and a long plan through decades in prison",
           "Drama", "1994-10-14", "Frank Darabont",
           "Tim Robbins, Morgan Freeman, Bob Gunton"),
    _movie(0x1D, "Mad Max: Fury Road", "A drifter and a defector outrun a desert warlord in an armoured truck",
           "Action Adventure", "2015-05-15", "George Miller",
           "Tom Hardy, Charlize Theron, Nicholas Hoult"),
    _movie(0x1E, "Arrival", "A linguist learns the written language of visitors, and what it does to time",
           "SciFi Drama", "2016-11-11", "Denis Villeneuve",
           "Amy Adams, Jeremy Renner, Forest Whitaker"),
    _movie(0x1F, "Back to the Future", "A teenager strands himself in 1955 and must see to it that his parents meet",
           "Adventure Comedy", "1985-07-03", "Robert Zemeckis",
           "Michael J. Fox, Christopher Lloyd, Lea Thompson"),
    _movie(0x20, "Toy Story", "A cowboy doll finds a space ranger in his place on the bed",
           "Animation Comedy", "1995-11-22", "John Lasseter",
           "Tom Hanks, Tim Allen, Don Rickles"),
    _movie(0x21, "The Silence of the Lambs", "A trainee agent seeks one killer's advice to catch another",
           "Thriller Crime", "1991-02-14", "Jonathan Demme",
           "Jodie Foster, Anthony Hopkins, Scott Glenn"),
    _movie(0x22, "Rear Window", "A photographer with a broken leg suspects the neighbour across the courtyard",
           "Thriller Mystery", "1954-09-01", "Alfred Hitchcock",
           "James Stewart, Grace Kelly, Thelma Ritter"),
    _movie(0x23, "Everything Everywhere All at Once", "The owner of a laundromat is audited in every universe",
           "Comedy SciFi", "2022-03-25", "Daniel Kwan, Daniel Scheinert",
           "Michelle Yeoh, Ke Huy Quan, Stephanie Hsu"),
    _movie(0x24, "The Grand Budapest Hotel", "A concierge and his lobby boy inherit a painting and a pursuit",
           "Comedy Adventure", "2014-03-07", "Wes Anderson",
           "Ralph Fiennes, Tony Revolori, Saoirse Ronan"),
]

TVSHOWS = [
    _show(0xA1, "Breaking Bad", "A chemistry teacher turns to cooking drugs to provide for his family",
          "Crime Drama", "Bryan Cranston, Aaron Paul, Anna Gunn",
          ("2008-01-20", "Vince Gilligan"), ("2008-01-27", "Adam Bernstein")),
    _show(0xA2, "Stranger Things", "Friends search for a missing boy and find a girl with unusual powers",
          "SciFi Horror", "Winona Ryder, David Harbour, Millie Bobby Brown",
          ("2016-07-15", "The Duffer Brothers"), ("2016-07-15", "The Duffer Brothers")),
    _show(0xA3, "The Wire", "Police, dealers and City Hall in Baltimore, each seen from the inside",
          "Crime Drama", "Dominic West, Lance Reddick, Sonja Sohn",
          ("2002-06-02", "Clark Johnson"), ("2002-06-09", "Clark Johnson")),
    _show(0xA4, "Dark", "Children vanish from a small town whose caves lead to other years",
          "SciFi Mystery", "Louis Hofmann, Oliver Masucci, Jördis Triebel",
          ("2017-12-01", "Baran bo Odar"), ("2017-12-01", "Baran bo Odar")),
    _show(0xA5, "Chernobyl", "A reactor explodes, and a commission tries to learn why and to contain it",
          "Drama History", "Jared Harris, Stellan Skarsgård, Emily Watson",
          ("2019-05-06", "Johan Renck"), ("2019-05-13", "Johan Renck")),
    _show(0xA6, "Fleabag", "A Londoner tells us everything except what matters most",
          "Comedy Drama", "Phoebe Waller-Bridge, Sian Clifford, Olivia Colman",
          ("2016-07-21", "Tim Kirkby"), ("2016-07-28", "Harry Bradbeer")),
    _show(0xA7, "The Expanse", "A missing heiress ties together a detective, a ship's crew and three worlds",
          "SciFi Drama", "Steven Strait, Dominique Tipper, Shohreh Aghdashloo",
          ("2015-12-14", "Terry McDonough"), ("2015-12-15", "Terry McDonough")),
    _show(0xA8, "Game of Thrones", "Noble houses contend for a throne while winter gathers in the north",
          "Fantasy Drama", "Sean Bean, Emilia Clarke, Peter Dinklage",
          ("2011-04-17", "Tim Van Patten"), ("2011-04-24", "Tim Van Patten")),
    _show(0xA9, "Avatar: The Last Airbender", "A boy from the ice must master four elements to end a war",
          "Animation Adventure", "Zach Tyler Eisen, Mae Whitman, Jack DeSena",
          ("2005-02-21", "Dave Filoni"), ("2005-02-21", "Dave Filoni")),
    _show(0xAA, "The Office", "A film crew follows the staff of a paper company through the working day",
          "Comedy", "Steve Carell, Rainn Wilson, Jenna Fischer",
          ("2005-03-24", "Ken Kwapis"), ("2005-03-29", "Ken Kwapis")),
]
# fmt: on
