"""Where things stand in the tables that phases read: names for numbers.

`table` begins with the entries of the network, then come `PER_POPULATION` entries for every
population, `PER_MATRIX` for every matrix and `PER_REDUCTION` for every sum over chunks. Offsets
into ``Board.memory`` and ``Board.data`` are in numbers of four bytes.
"""

# ------------------------------------------------------------------ table: the network
(
    BATCH,
    PASSES,
    LANES,
    PAIRS,  # comparisons times replicas
    COMPARISONS,
    SIDES,
    N_POPULATIONS,
    N_PROJECTIONS,
    DISTRIBUTION,
    RESYNC,
    ONLINE,
    BATCH_WIDE,
    MEASURES_POWER,
    OBSERVES,
    BOTH,
    AVERAGES,
    SHOWN,  # lanes of which rules see what is sent
    PRE_LANE,  # first of the lanes that stand for what a synapse transmitted
    WIDE,  # lanes of what is seen
    SLOTS,  # steps of which it is known what was sent
    SEEN_SLOTS,
    LESSON_SLOTS,  # lessons on their way
    HEARS,
    TRACES,
    THROUGH,  # whether devices stand between a change and its weight
    ROUNDING,
    AGES,
    PASS_TABLE,  # start of: comparison + 1 whose noise a pass gets; reference, perturbed pass
    COMPARISON_TABLE,
    DESK,  # start of the first block's desk, and how far it is to the next one's
    DESK_SIZE,
    ROW_A,
    ROW_X,
    ROW_S,
    ROW_SENT,
    ROW_SEEN,
    ROW_NOISE,
    ROW_SIGNAL,
    ROW_GAIN,
    ROW_OFFSET,
    ROW_LEAK,
    ROW_KEEP,
    ROW_TELEGRAPH,
    ROW_READ_A,
    ROW_READ_X,
    ROW_HEARD,
    ROW_SLOPE,
    ROW_FEEDBACK,
    ROW_LATE,
    ROW_GUESSES,  # feedback weights, an output a row
    DESK_DIFFERENCE,
    DESK_RECEIVED,
    DESK_OWED,
    DESK_OWED_RECEIVED,
    DESK_LINE,
    DESK_POWER,
    DESK_FORMING,
    DESK_CREDITED,
    DESK_ERRORS,
    DESK_LATE_FORMING,
    DESK_LATE_CREDITED,
    DESK_DIVISOR,
    DESK_CHANGED,  # power of changes in activity, by population; then what explains outputs
    DESK_EXPLAINED,
    DESK_FAILED,
    ELIGIBILITY,  # per comparison and replica, TRACE_SIZE numbers
    TRACE_SIZE,
    OWED,
    FIRST_MEMORY,
    SECOND_MEMORY,
    WANTED,
    RESPONSE,
    STUCK,
    DRIFT,
    AGE,
    SLICES,  # threads that share a sum, and in how many rounds' worth of scratch
    TILES,
    SUMS,
    POPULATIONS,  # start of the tables below
    MATRICES,
    REDUCTIONS,
    OUTPUTS,
) = range(82)

# ----------------------------------------------------------- table: a population
(
    SIZE,
    CHUNKS,
    STRIDE,
    HOME,  # where its rows begin, and how far it is from a block's copy to the next one's
    COPY,
    EVERYWHERE,  # whether every block works out all of it for itself
    CREDIT,
    FIRST_LESSON,
    LESSONS,
    LEARNS,
    HAS_GUESSES,
    COARSE,
    STREAM_NOISE,
    STREAM_ACT,
    STREAM_TELEGRAPH,
    STREAM_FLICKER,
    STREAM_ACT_READ,
    STREAM_FIRED_READ,
    STREAM_SENT_READ,
    POWER_PARTS,  # start of the parts of its power, chunk by chunk, of two steps
    POWER_APART,  # how far it is from a chunk's to the next one's
    CHANGED_PARTS,
    EXPLAINED_PARTS,
    PER_POPULATION,
) = range(24)

# --------------------------------------------------------------- table: a matrix
(
    PRE,
    POST,
    DELAY,
    ROWS,
    COLUMNS,
    ROW_STRIDE,
    GLOBAL,  # where it lies in memory; the same as a place among all synapses: see BEGINNING
    BEGINNING,
    LOCAL,  # where a block's rows lie among its own weights, if they do
    RESIDENT,
    BY_COLUMN,  # whether a block has columns of it rather than rows
    SOURCE,  # row of what goes in
    TARGET,  # row of what comes out
    RECURRENT,  # whether what goes in was sent through a projection
    LOSES,
    PERTURBED,
    STREAM_WEIGHTS,
    STREAM_READ,
    STREAM_RELATIVE,
    STREAM_PULSES,
    STREAM_C2C,
    STREAM_WRITE,
    STREAM_ROUNDING,
    STREAM_DIFFUSION,
    STREAM_LOSS,
    STREAM_JITTER,
    PARTS,  # start of its parts of outputs' sums, chunk by chunk, of two steps
    PARTS_APART,
    LANE_TILES,
    SIGNALS,  # row of the signals it learns from
    CREDIT_OF,
    DECORRELATES,
    PER_MATRIX,
) = range(33)

# ------------------------------------------------------------- table: a reduction
(
    FROM,  # where its parts begin, those of one step behind those of the other
    COUNT,  # parts to be summed
    ENTRIES,  # sums
    OF_OUTPUTS,  # how many of these are outputs', lane by lane
    TO_DESK,  # where on the desk the others belong
    PER_REDUCTION,
) = range(6)

# ------------------------------------------------------------- values: the network
(
    NOISE_STD,
    NOISE_GAIN,
    VARIANCE,
    DECAY,
    NORMALISE,
    BETA1,
    FRESH1,
    BETA2,
    FRESH2,
    EPSILON,
    FEEDBACK_RATE,
    GAINS_AND_OFFSETS,
    ACT_NOISE,
    TELEGRAPH,
    SWITCHES,
    FLICKER,
    READ_NOISE,
    READ_LIMIT,
    READ_SPACING,
    EVENT_LIMIT,
    EVENT_SPACING,
    EVENT_LOSS,
    EVENT_JITTER,
    READ_RELATIVE,
    ASYMMETRY,
    D2D,
    C2C,
    SOFTNESS,
    KEEP,
    REWARD_NOISE,
    REWARD_LIMIT,
    REWARD_SPACING,
    REWARD_LOSS,
    N_VALUES,  # then a sign for every pass
) = range(34)

# ---------------------------------------- values: a population (after N_VALUES + passes)
FACTOR, NEURONS, PER_POPULATION_VALUES = range(3)

# -------------------------------------------------------------- values: a matrix
(
    SCALE,
    SMALLEST,
    FULL_SCALE,
    WRITE_NOISE,
    LIMIT,
    SPACING,
    DIFFUSION,
    W_READ_NOISE,
    PER_MATRIX_VALUES,
) = range(9)

# ----------------------------------------------------- data: a step (at DATA_CHANGES)
UNBIAS, DECORRELATION_RATE, RATES = 0, 2, 3  # then a rate for every projection

# ----------------------------------------------------------------- steps: the run
(
    SEED,
    CLOCK,
    START,
    STOP,
    TURN,  # turns begun before the sequence
    LEARN,
    LISTEN,
    N_INPUTS,
    N_OUTPUTS,
    DATA_INPUTS,
    DATA_TARGETS,
    DATA_LOSS,
    DATA_REWARD,
    DATA_OUTPUTS,
    DATA_CHANGES,  # numbers of the step that go into changes of weights
    WANTS_OUTPUTS,
    LENGTH,
    POPULATION_VALUES,  # where values of populations and matrices begin
    MATRIX_VALUES,
    TIMES,  # where the entries of step 0 would begin
    RUN_SIZE,
) = range(21)

# ---------------------------------------------- steps: a step, PER_STEP entries each
(
    OVER,  # whether an episode ends with it
    WAITS,  # whether somebody waits for its end
    COUNTED,  # broadcasts so far, by step
    EPISODES,  # and by episode
    SLOT,  # of the lesson that arrives and of the one that leaves
    VALID,  # whether a lesson arrives
    OVER_THEN,
    WRITE_THEN,
    FIRST_THEN,
    CLOCK_THEN,
    AGO,  # turns since
    SINCE_THEN,  # steps since perturbed passes had been set back then
    PER_STEP,
) = range(13)
