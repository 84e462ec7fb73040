"""What the classes of rooms are called, in the order of `scenes.CLASSES`."""

from __future__ import annotations

__all__ = ["FURTHER", "HELD_OUT", "TRAINED"]

# In training; the first is a class's name.
TRAINED = (
    (
        *("floor", "a floor", "flooring", "the floor of a room", "floorboards"),
        *("parquet", "a tiled floor", "where one walks", "underfoot", "pavement"),
        *("hardwood floor", "the bottom of the room", "a surface to walk on", "paving"),
        *("a stone floor", "the lowest surface of a room", "what one stands on"),
        *("a concrete floor", "the surface under our feet", "bare boards"),
        *("a dance floor", "earth underfoot", "a floor slab", "the kitchen floor"),
        *("a polished floor", "cobbles", "an even surface underfoot", "a dirty floor"),
    ),
    (
        *("wall", "a wall", "the wall of a room", "a side of the room", "wallpaper"),
        *("a partition", "plaster", "a brick wall", "interior wall", "a painted wall"),
        *("a barrier", "panelling", "the vertical side of a room", "a divider"),
        *("plasterboard", "a white wall", "the wall behind", "bricks"),
        *("a concrete wall", "a stone rampart", "a partition of a room"),
        *("a boundary of a room", "a plastered surface", "the back wall", "a bulkhead"),
        *("a vertical surface", "siding", "a wall of bricks", "cinder blocks"),
    ),
    (
        *("ceiling", "a ceiling", "ceilings", "the ceiling of a room", "overhead"),
        *("the top of a room", "rafters", "the space above our heads", "a vault"),
        *("ceiling panels", "a high ceiling", "the upper surface of a room"),
        *("a false ceiling", "up above", "canopy", "the top of a building"),
        *("ceiling beams", "a ceiling with lamps", "a loft"),
        *("the inside of the top of a house", "the surface over our heads"),
        *("a white ceiling", "eaves", "the cover of a building", "gables"),
        *("a plaster ceiling", "a lofty hall", "overhead panels"),
        "a suspended ceiling",
    ),
    (
        *("rug", "a rug", "rugs", "a rug on the floor", "a doormat", "a woven mat"),
        *("a persian rug", "tapestry", "a soft mat to stand on", "a bath mat"),
        *("a throw rug", "shag", "a runner in the hallway", "textile on the floor"),
        *("a small rug", "a fringed rug", "an area rug", "a hearth rug", "a floor mat"),
        *("a wool rug", "a fabric that covers the floor", "a runner"),
        *("a soft floor of wool", "a bedside rug", "pile fabric"),
        *("a cloth on the floor", "a yoga mat", "an oriental rug", "a thick rug"),
    ),
    (
        *("poster", "a poster", "posters", "a poster on the wall", "a placard"),
        *("an advertisement", "a print", "artwork", "a billboard"),
        *("an image on the wall", "a movie poster", "a notice", "a banner"),
        *("a photograph", "decoration on the wall", "an image", "a drawing"),
        *("a portrait", "a framed print", "a photo", "a wall chart"),
        *("a drawing on the wall", "a film poster", "a pin-up", "a concert poster"),
        *("a mural", "a canvas with a motif", "an illustration", "a leaflet"),
        "an art print",
    ),
    (
        *("platform", "a platform", "platforms", "a low platform", "a dais"),
        *("a raised platform", "a low step", "a raised surface to stand on"),
        *("a pedestal", "a scaffold", "a pallet", "a riser", "a raised block"),
        *("a ledge", "a stand for a speaker", "a stepped base", "a raised floor"),
        *("a plinth", "a flat raised area", "a landing", "a low block", "a lectern"),
        *("a pulpit", "the base of a statue", "a stand for winners", "a terrace"),
        *("a tribune", "an elevated area", "a bench of stone", "a tier"),
    ),
    (
        *("pillar", "a pillar", "pillars", "a stone pillar", "a post", "a pole"),
        *("a pilaster", "a tall upright support", "a concrete support", "an obelisk"),
        *("pillars of a temple", "a stanchion", "a shaft", "a bollard"),
        *("a tall cylinder", "a post that holds up a building", "a marble pillar"),
        *("uprights", "a support", "a round pillar", "a mast", "a pier of a bridge"),
        *("a tall thin upright", "a colonnade", "a pole that stands"),
        *("a concrete post", "a stone post of a temple", "a vertical support"),
        *("an architectural support", "a spire", "stelae"),
    ),
    (
        *("crate", "a crate", "crates", "a packing crate", "a shipping container"),
        *("a chest", "a carton", "a cargo case", "packaging", "a parcel"),
        *("a storage crate", "a milk crate", "freight", "a trunk", "a wine crate"),
        *("a fruit crate", "a wood crate", "a timber case", "a case of slats"),
        *("a packing case", "a container of planks", "a coffer"),
        *("a bin of planks for fruit", "a cardboard container", "a pallet crate"),
        *("a tool chest", "a big package", "a cube of planks", "a hutch"),
    ),
    (
        *("bin", "a bin", "bins", "a rubbish bin", "a waste container", "a dustbin"),
        *("a litter basket", "a recycling bin", "a bucket", "garbage", "a garbage bin"),
        *("a hamper", "a container for refuse", "rubbish", "a litter bin"),
        *("a wheelie bin", "a refuse bin", "waste", "a barrel for waste"),
        *("a waste bin", "a tin for litter", "a kitchen bin", "litter", "an ashcan"),
        *("refuse", "a drum for rubbish", "a receptacle for waste"),
    ),
    (
        *("ball", "a ball", "balls", "a rubber ball", "a football", "a beach ball"),
        *("an orb", "a round toy", "a basketball", "something that rolls"),
        *("a tennis ball", "a bouncing ball", "a round thing", "a balloon"),
        *("a round ball", "a toy ball", "a volleyball", "a bubble", "a round object"),
        *("a big round toy", "a circular solid", "a bowling ball", "a golf ball"),
        *("a planet", "a rubber toy", "a perfectly round body", "a bead"),
        *("a snooker ball", "a gym ball"),
    ),
)
# Of the same things, in no phrase of training.
HELD_OUT = (
    *("ground", "masonry", "roof", "carpet", "picture"),
    *("podium", "column", "wooden box", "trash can", "sphere"),
)
# Harder ones, none of them a phrase of training: the temperature was chosen by these.
FURTHER = (
    (*("tiles", "laminate", "linoleum", "terrazzo", "planks to walk on", "street"),),
    (*("drywall", "stonework", "a facade", "brickwork", "fence", "the side"),),
    (
        *("a skylight", "an attic", "a dome", "rooves above", "upper side of a hall"),
        "thatch",
    ),
    (*("matting", "floor covering", "a kilim", "a moquette", "sheepskin", "textile"),),
    (*("a painting", "a sign", "a flyer", "placards", "screen print", "photo frame"),),
    (*("a stage", "a deck", "a rostrum", "dais steps", "stand", "bench"),),
    (*("a beam", "a pylon", "a totem", "a strut", "monolith", "trunk of a tree"),),
    (
        *("a slatted case", "a container for goods", "luggage", "suitcase", "casket"),
        "carton of goods",
    ),
    (
        *("a wastebasket", "a dumpster", "a pail", "skip", "waste paper basket"),
        "junk",
    ),
    (*("a globe", "soccer", "a marble", "a pearl", "balloon toy", "handball"),),
)
