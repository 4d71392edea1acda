#!/bin/sh
# A minimal device of sortie's native profile: needs a POSIX shell, the mosquitto clients, curl
# and coreutils (sha256sum, stdbuf). What it leaves out, and what that costs, is in docs/device-protocol.md.
# Start it again after a kill at any moment: it goes on where it was.
set -u
: "${BROKER_HOST:=localhost}" "${BROKER_PORT:=1883}" "${PREFIX:=sortie/1}"
: "${MQTT_USER:=}" "${MQTT_PASSWORD:=}"  # if the broker asks for them
: "${DEVICE_ID:=shell-1}" "${SYSTEM_MODEL:=gateway-g2}" "${VERSION:=1.0.0}" # before its first update
: "${STATE_DIR:=./$DEVICE_ID.state}" "${GIVE_UP:=1800}" # seconds of a download without a byte

broker="mqtt://${MQTT_USER:+$MQTT_USER:$MQTT_PASSWORD@}$BROKER_HOST:$BROKER_PORT"
own="$PREFIX/d/$DEVICE_ID"
mkdir -p "$STATE_DIR" && cd "$STATE_DIR" || exit 1

say() { printf '%s %s\n' "$DEVICE_ID" "$*" >&2; }

# Writes file $1 so that a power cut leaves the old content or the new one.
keep() {
    cat > "$1.new" && { sync "$1.new" 2> /dev/null || sync; } && mv "$1.new" "$1"
}

# Publishes a register of ours (QoS 1, retained) and waits for the acknowledgement.
publish() {
    topic=$1
    shift
    mosquitto_pub -L "$broker/$own/$topic" -q 1 -r "$@" 2> /dev/null
}

# --- Journal: the one operation that we remember (A3). "-" is empty.
# shown: whether its report register is to hold something (A8).
uuid=- route=- status=- code=- reason=- shown=no to_version=- to_sha256=-

journal() {
    echo "$uuid $route $status $code $reason $shown $to_version $to_sha256" | keep journal
}

ended() { [ "$status" = Success ] || [ "$status" = Failure ] || [ "$status" = - ]; }

# Journals the status of the operation, then reports it.
report() {
    status=$1 code=${2:--} reason=${3:--} shown=yes
    journal
    say "$uuid $status $code $reason"
    tell
}

# Publishes the report register; if the broker is away, it is published after the next connect.
tell() {
    [ "$shown" = yes ] || return 0
    percent=0
    [ "$status" = Success ] && percent=100
    json=$(printf '{"requestUUID":"%s","status":"%s","statusProgress":%s,"statusCode":"%s","message":""' \
        "$uuid" "$status" "$percent" "${code#-}")
    [ "$reason" = - ] || json="$json,\"reason\":\"$reason\""
    publish "report/$route/$uuid" -m "$json}"
}

# The register of the remembered operation is to be emptied, and then of all that wait for it (A8).
empty_registers() {
    if [ "$shown" = yes ]; then
        echo "$route/$uuid" | cat - to_empty 2> /dev/null | keep to_empty
        shown=no
        journal
    fi
    [ -s to_empty ] || return 0
    while read -r register; do
        publish "report/$register" -n || return 0 # the list is kept, and emptied the next time
    done < to_empty
    : | keep to_empty
}

# --- Boot: whatever is marked pending runs now; else what ran before.
boot() {
    [ -f version ] && read -r VERSION < version
    [ -f journal ] && read -r uuid route status code reason shown to_version to_sha256 < journal
    if [ -f pending ]; then
        # Here a real device is on trial: it confirms after a health check of its own, or the next
        # boot goes back, and the answer is Failure/SystemRollback.
        [ "$to_version" = - ] || VERSION=$to_version # else it would be read from the image
        status=Success code=- reason=- shown=yes
        echo "$VERSION" | keep version
        journal
        mv pending image
        say "runs $VERSION"
    elif [ -f part ]; then
        # A copy, lest a curl that outlived us writes into it.
        cp part part.new && mv part.new part
    fi
}

# --- Presence (A11).
behind=

birth() {
    fingerprint=
    [ -f image ] && fingerprint=$(sha256sum image | cut -d ' ' -f 1)
    publish presence -m "{\"state\":\"online\",\"session\":\"$session\",$behind\"baseImage\":{\"fingerprint\":\"$fingerprint\",\"name\":\"$SYSTEM_MODEL\",\"version\":\"$VERSION\",\"buildId\":\"\"},\"systemModel\":\"$SYSTEM_MODEL\",\"protocol\":1}"
}

# The own presence register: a late will must not hide us.
presence() {
    case $1 in
    *'"online"'*"\"$session\""*) ;;
    *) sleep 1 && birth ;;
    esac
}

# --- Requests. A real device reads them with a JSON parser.
text() { printf '%s\n' "$body" | sed -n 's/.*"'"$1"'"[[:space:]]*:[[:space:]]*"\([^"\\]*\)".*/\1/p'; }
number() { printf '%s\n' "$body" | sed -n 's/.*"'"$1"'"[[:space:]]*:[[:space:]]*\([0-9]\{1,15\}\)[^0-9].*/\1/p'; }
allowed() { printf '%s\n' "$body" | grep -q '"'"$1"'"[[:space:]]*:[[:space:]]*true'; }

# Is $1 made of the characters in $2 only, and neither empty nor too long?
made_of() {
    [ -n "$1" ] && [ ${#1} -le 64 ] && [ -z "$(printf '%s' "$1" | tr -d "$2")" ]
}

request() {
    body=$1
    [ -n "$body" ] || return 0 # an empty register is no information (A1)
    operation=$(text operation) asked=$(text uuid) to=$(text route)
    if [ "$operation" = None ]; then
        # Nothing is in force (A7). Only one that was interrupted can still be under way.
        ended || report Failure Canceled
        empty_registers
        return
    fi
    made_of "$asked" '0-9a-f-' && made_of "$to" 'A-Za-z0-9._~-' || return 0 # not for us to answer
    case $operation in
    Update) update ;;
    Cancel) cancel ;;
    esac
}

# Takes the operation asked for in the place of the one that was remembered (A4).
replace() {
    ended || report Failure Canceled
    empty_registers
    rm -f part
    uuid=$asked route=$to status=- shown=no to_version=- to_sha256=-
}

cancel() {
    if [ "$asked" != "$uuid" ]; then
        replace
        report Failure Canceled # never begun, and now it never will be (A5)
    elif ended; then
        report "$status" "$code" "$reason"
    else
        rm -f part
        report Failure Canceled
    fi
}

update() {
    url=$(text url) size=$(number size) sha256=$(text sha256 | tr A-F a-f)
    format=$(text format) for_session=$(text session)
    if [ "$asked" = "$uuid" ] && ended; then
        report "$status" "$code" "$reason" # nothing is done twice (A3)
        return
    fi
    if [ "$asked" != "$uuid" ]; then # else it was interrupted, and goes on
        if [ -n "$for_session" ] && [ "$for_session" != "$session" ]; then
            behind='"behind":true,' && birth # decided on another connection of ours (A10)
            return
        fi
        replace
        to_version=$(text version) decided_on=$(text decidedOn) model=$(text systemModel)
        made_of "${to_version:=-}" 'A-Za-z0-9.+-' || to_version=-
        # Checks of our own, the first that applies (A9).
        if [ "$to_version" = "$VERSION" ] && ! allowed sameVersion; then
            report Success
        elif [ -n "$decided_on" ] && [ "$decided_on" != "$VERSION" ]; then
            report Failure InvalidRequest version_changed
        elif [ -n "$model" ] && [ "$model" != "$SYSTEM_MODEL" ] && ! allowed systemModel; then
            report Failure InvalidBaseImage system_model_mismatch
        elif ! well_formed; then
            report Failure InvalidRequest
        else
            to_sha256=$sha256
            report Acknowledged
        fi
        ended && return
    fi
    well_formed || return 0
    [ -z "$behind" ] || { behind= && birth; }
    install
}

well_formed() {
    case $url in http://?* | https://?*) ;; *) return 1 ;; esac
    [ ${#sha256} -eq 64 ] && made_of "$sha256" '0-9a-f' && [ -n "$size" ] && [ "${format:-raw}" = raw ]
}

# --- The update itself. While it runs, nothing else is read (A4: it is finished first).
install() {
    report Downloading
    if ! fetch; then
        report Failure NetworkError
    elif ! verified; then
        rm -f part
        report Failure InvalidBaseImage digest_mismatch
    else
        report Deploying # a real device has written into its free slot all along
        { sync part 2> /dev/null || sync; } && mv part pending # the point of no return (A6)
        report Deployed
        report Rebooting
        rebooting=yes
    fi
}

verified() {
    [ "$(sha256sum part | cut -d ' ' -f 1)" = "$to_sha256" ] && return
    [ "$resumed" = yes ] || return
    # The file may have changed on the server between two parts of it: once more, whole.
    say "wrong digest, fetching it anew"
    rm -f part
    fetch && [ "$(sha256sum part | cut -d ' ' -f 1)" = "$to_sha256" ]
}

# Fetches what is missing of the image, over and over, until GIVE_UP seconds without a byte (A12).
fetch() {
    waited=0 delay=1 resumed=no
    [ -f part ] || : > part
    while :; do
        had=$(($(wc -c < part)))
        [ "$had" -gt "$size" ] && : > part && had=0
        [ "$had" -eq "$size" ] && return 0
        [ "$had" -gt 0 ] && resumed=yes
        curl -fsS --connect-timeout 10 --speed-limit 1 --speed-time 30 \
            --max-filesize "$size" -C "$had" -o part "$url"
        result=$?
        [ "$result" -eq 33 ] && : > part # the server can't resume
        [ $(($(wc -c < part))) -gt "$had" ] && waited=0 delay=1
        [ "$result" -eq 0 ] && [ $(($(wc -c < part))) -eq "$size" ] && return 0
        [ "$waited" -ge "$GIVE_UP" ] && return 1
        report Error NetworkError
        sleep "$delay"
        waited=$((waited + delay)) delay=$((delay < 30 ? delay * 2 : 60))
        report Downloading
    done
}

# --- Connections, one after the other. mosquitto_sub holds it, with the last will.
# Ends the connection with a goodbye; without the last will, if mosquitto_sub minds the signal.
leave() {
    kill "$listener" 2> /dev/null
    publish presence -m "{\"state\":\"offline\",\"session\":\"$session\"}"
    sleep 1
    kill -9 "$listener" 2> /dev/null # while it connects it does not
    wait "$listener" 2> /dev/null
}

trap 'trap - INT TERM; leave; exit 0' INT TERM
listener= session=
boot
while :; do
    session=$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
    rebooting=no connects=0
    rm -f events && mkfifo events || exit 1
    # -d tells of connects and subscriptions, in lines of their own, which stdbuf lets out at once.
    stdbuf -oL mosquitto_sub -d -i "$DEVICE_ID" -k 30 -q 1 -L "$broker/$own/request" -t "$own/presence" \
        -t "$own/report/#" --will-topic "$own/presence" --will-qos 1 --will-retain \
        --will-payload "{\"state\":\"lost\",\"session\":\"$session\"}" \
        -F 'MESSAGE %t %p' > events 2> /dev/null &
    listener=$!
    while IFS= read -r line; do
        case $line in
        *' sending CONNECT')
            # It connects again by itself, but a new connection needs a new session.
            connects=$((connects + 1))
            [ "$connects" -gt 1 ] && break
            ;;
        'Subscribed (mid: '*)
            say "online as $session with $VERSION"
            birth
            tell # the report register, again after every connect (A8)
            ;;
        "MESSAGE $own/request "*) request "${line#"MESSAGE $own/request "}" ;;
        "MESSAGE $own/presence "*) presence "${line#"MESSAGE $own/presence "}" ;;
        "MESSAGE $own/report/"*' {'*)
            # What an earlier life of ours left behind is emptied with the next None.
            register=${line#"MESSAGE $own/report/"}
            register=${register%% *}
            [ "$register" = "$route/$uuid" ] || grep -qxF "$register" to_empty 2> /dev/null ||
                echo "$register" | cat - to_empty 2> /dev/null | keep to_empty
            ;;
        esac
        [ "$rebooting" = yes ] && break
    done < events
    leave
    boot # a real device reboots here; or, without its broker, waits longer and with jitter
done
