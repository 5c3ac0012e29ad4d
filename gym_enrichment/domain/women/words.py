"""The words that speak of hours or a space for women only, of their denial, and of what merely looks like them.

French, English, Spanish, Arabic, Darja in Latin letters (and simple German and Danish), as patterns over folded text
(lower case, no accents). How they make a statement is judging's work.
"""

import re

REACH = 90  # characters of its sentence read on each side of a statement

# ---- words (folded: lower case, no accents)
_W = r"(?:wom[ae]n|lad(?:y|ies)|females?|girls?)(?:['’ ]?s\b)?['’]?"
_SPACE = (
    r"(?:areas?|sections?|spaces?|rooms?|gyms?|zones?|floors?|parts?|sides?|corners?|studios?|hours?"
    r"|times?|timings?"
    r"|slots?|sessions?|class(?:es)?|days?|nights?|mornings?|evenings?|training|workouts?|weights?"
    r"|swim\w*|fitness|clubs?)"
)
_PLACE = r"(?:areas?|sections?|gyms?|zones?|floors?|parts? of|side|corners?|hours?|timings?)"
_ONLY = (
    r"(?:only|just|exclusively|exclusive|dedicated|reserved|separated?|designated|private|own|entire"
    r"|whole|specific|special)"
)
_F = r"(?:femmes?|dames?|lad(?:y|ies)|filles?|feminine?s?|soeurs?|sours?)"
_SPACE_FR = (
    r"(?:salles?|espaces?|sections?|etages?|zones?|parties?|coins?|pieces?|horaires?|heures?"
    r"|creneaux?|seances?|cours|jours?"
    r"|journees?|matins?|matinees?|apres[- ]midis?|soirs?|soirees?|plages?(?: horaires?)?|clubs?"
    r"|gyms?|niveaux?|sous[- ]sols?)"
)
_HALF_DAY_FR = r"(?:le matin|l'apres[- ]midi|le soir|la journee|en (?:journee|matinee|soiree))"
_KEPT_FR = (
    r"(?:reserve|dedie|consacre|exclusi|uniquement|seulement|specia|separe|propre|juste|que|rien que"
    r"|fitness|sport|de sport|muscu\w*|de muscu\w*|entier|100 ?%)\w*"
)
_M = r"(?:mujer(?:es)?|chicas|damas|senoras|femenin[oa]s?)"
_SPACE_ES = (
    r"(?:salas?|zonas?|areas?|espacios?|secciones|seccion|horarios?|horas?|clases?|gimnasios?"
    r"|plantas?|pisos?|dias?)"
)
_N = r"(?:(?:لل|ال|بال|ل|ب)?(?:نساء|نسا|سيدات|بنات)|(?:ال)?(?:نسايي|نسوي|حريمي)\w*|(?:لل|ال)?حريم)"
_SPACE_AR = (
    r"(?:ال)?(?:قسم|قاعه|صاله|طابق|وقت|اوقات|توقيت|ساعات|حصص|حصه|مساحه|فضاء|نادي|جناح|يوم|ايام|مكان"
    r"|جيم|غرفه|مواعيد|صباح|مساء|فتره)(?:ا|يه)?"
)
_NO_PURPOSE_AR = r"(?:مناسب|ممتاز|جيد|رايع|جميل|مثالي|مليء|فيه?ا?\b|مع\b|كل\b)"
_DARJA = r"(?:le?)?(?:nssa|nsa|nisa|bnat|banat)"

# ---- what says yes
_YES = (
    # en
    rf"{_W}[ -]only['’\"”»]* (?:\w+ ){{0,2}}?{_SPACE}\b",
    rf"{_W}[ -]only['’\"”]*(?=\s*(?:[.,!?;:)\n]|and\b|but\b|$))",
    (
        r"\b(?:is|are|'s|as) (?:a )?(?:women|ladies|females?|girls)[ -]only\b"
        r"(?! (?:used?|pays?|gets?|needs?|goes|go|comes?|have|has)\b)"
    ),
    rf"\bonly (?:for )?{_W} (?!rooms?\b)(?:(?!in|at|on|of|from)\w+ )?{_SPACE}\b",
    rf"\b{_SPACE} (?:(?:is|are|was|that|which|for|strictly) ){{0,2}}(?:{_W} only|only (?:for|to) {_W})\b",
    rf"\bfor {_W} only\b",
    (
        rf"{_W} (?:(?:gym|training|work ?out|weights?|fitness|exercise|exclusive|private|separate"
        rf"|cardio) )?{_PLACE}\b"
    ),
    rf"{_W} (?:swim(?:ming)?|gym|training|work ?out) (?:sessions?|slots?|times?|mornings?|evenings?|nights?|days?)\b",
    rf"\b{_ONLY} (?:{_W} (?!rooms?\b)(?:(?!in|at|on|of|from)\w+ )?{_SPACE}|{_SPACE} (?:\w+ )?for (?:the |us )?{_W})\b",
    rf"\b{_SPACE} (?:\w+ )?{_ONLY} (?:for|to) (?:the |us )?{_W}\b",
    rf"\b{_W} exclusive(?:ly)?\b",
    rf"\b{_W} (?:have|has|get|got) (?:their|a|an|our) (?:own|separate|private|whole|entire) (?:\w+ )?{_PLACE}\b",
    (
        r"\bseparate (?:\w+ )?(?:timings?|hours|floors?|sections?|gyms?|areas?|times) for (?:men"
        r"|women|ladies|males?|females?|both)\b"
    ),
    r"\b(?:no men (?:are )?allowed|men (?:are |is )?(?:not|n't) allowed)\b",
    # fr
    rf"\b{_SPACE_FR} de \w+ (?:{_KEPT_FR} )?pour (?:les )?{_F}\b",
    (
        rf"\b{_SPACE_FR}(?: {_KEPT_FR}){{0,2}}(?: (?:aux|pour(?: les| des| nous les)?|a la gent|des|de"
        rf"|d'|only))? ?{_F}\b"
    ),
    (
        r"\b(?:uniquement|exclusivement|seulement|que|strictement|reservee?s?|rien que|exclusifs?"
        rf"|100 ?%) (?:pour |aux |a la gent )?(?:les )?{_F}\b"
    ),
    r"\b(?:femmes?|dames?|filles) (?:uniquement|seulement|only|exclusivement)\b",
    (
        rf"\b{_F} (?:ont|disposent d['e]|beneficient d['e]|avons) ?(?:leurs?|une?|notre)"
        rf" (?:propres? )?{_SPACE_FR}\b"
    ),
    rf"\breserv(?:er|ez|e) aux? {_F}\b",
    rf"\b{_SPACE_FR} (?:de \w+ )?sans (?:les |des )?(?:hommes|mecs|garcons)\b",
    r"\b(?:non|pas)[ -]mixte\b",
    r"\b(?:interdit(?:e|es|s)? aux hommes|hommes (?:sont )?interdits)\b",
    rf"\b{_F} (?:de|:|c'est de|entre) ?\d{{1,2}} ?h",
    rf"\b(?:pour (?:les )?|les |aux ){_F} (?:c'est )?{_HALF_DAY_FR}\b",
    rf"\b{_F} ?(?:c'est|:) ?{_HALF_DAY_FR}\b",
    (
        r"\b(?:(?:lun|mar|mercre|jeu|vendre|same)dis?|dimanches?)(?: (?:matins?|soirs?))?"
        rf" (?:est|sont|c'est) pour (?:les )?{_F}\b"
    ),
    (
        rf"\b(?:salle|espace|etage|section|partie|zone)s?(?: \w+)?(?:,? une?)? pour (?:les )?(?:hommes|{_F})"
        rf",? (?:et )?(?:une?|l'autre) (?:\w+ )?pour (?:les )?(?:hommes|{_F})\b"
    ),
    rf"\b{_F} {_HALF_DAY_FR},? (?:et )?(?:les |pour les )?(?:hommes|garcons|messieurs)\b",
    rf"\b{_HALF_DAY_FR} (?:c'est |est )?(?:pour )?(?:les )?{_F}\b",
    # es
    (
        rf"\b{_SPACE_ES} (?:(?!(?:con|y|hay|tiene|muchas?|pocas?|las|llen[oa])\b)\w+ )?"
        r"(?:(?:solo|exclusiv[oa]s?|reservad[oa]s?|unicamente|dedicad[oa]s?|exclusivamente) )?"
        rf"(?:para |de |a )?(?:las |solo )?{_M}\b"
    ),
    rf"\b(?:solo|exclusivamente|unicamente|exclusivo) (?:para )?(?:las )?{_M}\b",
    # ar, Darja
    rf"\b{_SPACE_AR} (?:(?!{_NO_PURPOSE_AR})\w+ ){{0,2}}?{_N}\b",
    rf"\b(?:ال)?دور (?:\w+ )?{_N}\b(?! في\b)",
    rf"\b{_N} من (?:الساعه )?\d",
    r"\d (?:(?:صباحا|مساء|زوالا|ظهرا) )?(?:(?:خاص|مخصص)ه? )?لل(?:نساء|سيدات|بنات|حريم)\b",
    rf"\b{_DARJA} m[ei]?n \d",
    rf"\b{_N} فقط\b",
    rf"\b(?:خاص|مخصص|حصري|فقط)\w* {_N}\b",
    r"\bغير مختلط\w*",
    (
        r"\b(?:l?salle|l?wa9t|l?we9t|sa3at|horaires?|espace|l?etage|l?9a3a|l?ka3a|l?gym|ghir|jour|nhar|l?sba7|l?sbah|l?3chiya"
        r"|section|creneau|l?9ism|blas[st]?a) (?:(?!fih|3amr|bz[ae]f|fi\b|m3a)\w+ )?"
        rf"(?:lel |ta3 |lil |li |l ?|b |bel |bi )?{_DARJA}\b"
    ),
    rf"\b{_DARJA} (?:bark|berk|brk|seulement)\b",
    # de, da
    r"\b(?:frauen|damen)(?:bereich|abteilung|zone|studio|fitness|raum|training|gym)\w*",
    r"\b(?:nur|ausschlies\w*|exklusiv) fur (?:die )?(?:frauen|damen)\b",
    r"\bkvinde(?:afdeling|hold|omrade|traening|traning|fitness|rum|zone|center)\w*",
    r"\bkun for (?:kvinder|damer)\b",
)
# ---- what says no by itself
_NO = (
    r"\b(?:mixed|unisex|co[- ]?ed)(?:[ -](?:gender|sex))? gym\b",
    (
        r"\b(?:gym|place)(?: is|'s| was) (?:now |only |all )?(?:a )?(?:mixed(?:[ -](?:gender|sex)"
        r"|(?= *(?:[.,!]|$)))|unisex|co[- ]?ed)\b"
    ),
    (
        r"\b(?:salle|gym|espace|club|endroit|sport|fitness|c'est|est|tout|reste|entierement|etage"
        r"|zone) (?:de sport |trop |toujours |completement |tres |une salle )?mixte\b"
    ),
    (
        rf"\b(?:(?:pas de|aucune?|no) (?:place|acces|access|entry) (?:pour |aux |for )(?:les )?(?:{_F}|{_W})"
        rf"|interdite?s? aux (?:{_F}))\b"
    ),
    rf"\b{_W} (?:are |is )?(?:not|n't) (?:allowed|accepted|admitted)\b",
    (
        rf"\b(?:hommes et (?:les )?{_F}|{_F} et (?:les )?hommes) (?:s'entrainent |sont )?"
        r"(?:ensemble|melanges|au meme endroit)\b"
    ),
    rf"\b(?:pas de|aucune|sans) (?:separation|distinction) (?:entre )?(?:les )?(?:hommes|{_F})\b",
    rf"\b(?:no es|no son) (?:un gimnasio |una sala )?(?:solo|exclusiv\w+) (?:de|para) {_M}\b",
    r"\b(?:رجال و(?:ال)?نساء|نساء و(?:ال)?رجال|(?:ال)?رجال و(?:ال)?نساء) (?:معا|مع بعض|في نفس)",
    r"\bmixte (?:toute la journee|tous les jours|tout le temps|a toute heure)\b",
    # a gym for men only: not where the hours are shared out
    (
        r"\b(?:salle|club|gym|c'est|place|gimnasio) (?:\w+ ){0,3}?"
        r"(?:(?:uniquement|exclusivement|seulement|que|reservee?) (?:aux|pour (?:les )?)hommes"
        r"|pour (?:les )?hommes (?:uniquement|seulement)|(?:solo|exclusivo) para hombres"
        rf"|for men only|only for men)\b(?! (?:{_HALF_DAY_FR}|in the|at|on|from|until|de \d|por la))"
    ),
    r"(?<!\w)(?:(?:لل|ل)?رجال(?:ي|يه)? فقط|فقط (?:لل|ل)رجال)(?! (?:مساء|صباحا|في|من))",
    r"\b(?:ghir (?:lel |l )?r[dj]?jal|r[dj]?jal (?:bark|berk|brk))\b(?! (?:f|fel|m[ei]?n|l?3chiya|l?sba[h7])\b)",
    rf"\bm(?:ou?|u)?kh(?:a|ta)?l[ae]?t+(?:a|in|een|ine)? (?:bin |f?ih?a? )?(?:l?r[dj]?jal|{_DARJA})\b",
    r"\b(?:l?a?salle|l?gym|l?blas[st]?a|c'est|rahi|raha) (?:\w+ )?m(?:ou?|u)?khtalat\w*\b",
    r"\b(?:gimnasio|sala|es) (?:\w+ )?mixt[oa]\b",
    r"(?<!غير )\bمختلط\w*",
)
# ---- words around a match that change it
CHANGING = (
    r"(?:chang\w*|locker|toilets?|bath ?rooms?|rest ?rooms?|wash ?rooms?|showers?|wc|loos?"
    r"|vestiaires?|toilettes?|douches?"
    r"|sanitaires?|vestuarios?|banos?|aseos|duchas?|umkleide\w*|dusche\w*|omklaedning\w*|حمام\w*|مرحاض|تبديل|تغيير|غيار|ملابس)"
)
NOT_A_GYM = re.compile(
    rf"[ -]*(?:only )?(?:{CHANGING}|corporate|events?|part(?:y|ies)\b|trips?|groups?|wear|clothes"
    r"|shoes|shorts|discount\w*|offers?|price\w*"
    rf"|goers?|members?|users?|(?:of|in|inside) (?:the )?(?:\w+ )?{CHANGING}"
    r"|coach\w*|trainers?|instructors?|staff|teachers?|profs?|enceintes?|et (?:les |des |pour )?(?:hommes|garcons)"
    r"|and men|& men|w r[jd]j?al"
    r"|and gentlemen|y hombres|mixte|pregnant|embarazadas|mayores|و(?:ال|لل)?(?:رجال|ذكور|شباب)|الحوامل)\b"
)
CHANGING_BEFORE = re.compile(rf"\b(?:{CHANGING}|desk|reception|coachs?|staff|(?:ال)?مدرب\w*) (?:\w+ ){{0,2}}$")
MEN_TOO = re.compile(
    r"\b(?:men|men'?s|males|hommes|hombres|boys|guys|gents|gentlemen|رجال) ?(?:and|&|et|y|or|ou|/|و) ?(?:\w+ )?$"
)
WOMEN_FIRST = re.compile(_W)
PRAISE = re.compile(
    r"\b(?:good|great|perfect|nice|safe|ideal|best|suitable|excellent|ideale?|parfaite?|super|bonne?) $"
)
FOR = re.compile(r"\b(?:for|pour|para)\b")
KEPT = re.compile(
    r"\b(?:only|exclusively|reserv\w+|uniquement|exclusiv\w+|seulement|solo|dedie\w*|dedicated|separate)\b"
)
ELSEWHERE = re.compile(
    r"\b(?:(?:other|another|previous|old|former|different|last|unlike) (?:\w+ ){0,2}?(?:gyms?|places?"
    r"|branch\w*|locations?|clubs?)"
    r"|(?:autres?|ancien(?:ne)?s?) (?:salles?|clubs?|gyms?|sites?)"
    r"|(?:otr[oa]s?|antigu[oa]|mi anterior) (?:gimnasios?|gym|clubs?|sedes?|sucursal\w*|centros?)"
    r"|(?:gimnasio|gym) anterior"
    r"|(?:ال)?(?:(?:فرع|نادي|جيم) (?:ال)?(?:اخر|ثاني|تاني|سابق|قديم)|(?:قاعه|صاله) (?:ال)?(?:اخري|سابقه|قديمه))"
    r"|l?(?:salle|gym|club) (?:we?7da )?(?:l?okhra|khra|l?9dima)"
    r"|(?:gyms?|clubs?|places?) (?:down|across|up) the (?:road|street)|(?:gyms?|clubs?|places?) (?:next door|nearby)"
    r"|(?:salles?|clubs?) (?:d'a cote|d'en face|du quartier)|(?:gimnasio|gym) de (?:al lado|enfrente))\b"
)
LOOKED_FOR = re.compile(  # what somebody seeks, or asks for, is not said to be here
    r"\b(?:je (?:re)?cherche|i(?: am|['’]?m) (?:still )?looking for|anyone know|estoy buscando|(?<!que )busco"
    r"|ابحث عن|نحوس علي|rani n7awe?s|n7awe?s)(?: [\w'’]+){0,3} ?$"
    r"|\b(?:demande[rz]?|savoir|asked(?: \w+)?|ask|wonder\w*|know|pregunt\w+|saber) (?:s'il|si|if|whether)"
    r" (?:y a|y avait|ils avaient|there (?:is|was|are|were)"
    r"|they have|they had|hay|habia|tienen|tenian)(?: [\w'’]+){0,3} ?$"
)
ANSWERED_NO = re.compile(
    r"[^.!?\n]{0,30}?\b(?:m'a dit|(?:m')?ont dit|a repondu|la reponse|said|told me|answer(?:ed)?(?: was)?"
    r"|dijeron|respuesta)(?: que| est| etait| es)? no[nt]?\b"
)
_STOP = (
    r"(?:in|into|at|from|with|where|problem|problems|issue|issues|dans|avec|souci|probleme|doubt"
    r"|doute|only|just|stop|use|go|get)"
)
_LEAD = rf"(?:(?: |(?<='))(?!{_STOP}\b)[\w'’-]+){{0,3}} ?(?:an?|any|une?|de|d')? ?$"
DENIED = re.compile(
    r"\b(?:no|without|not have|n['’]?t have|not offer|n['’]?t offer|n['’]?t provide|not provide"
    r"|is ?n['’]?t|is not|are ?n['’]?t|not(?: an?)?(?= ?$)|not an?|lacks?|never had"
    r"|no longer|pas (?:de|d'|une?)|aucune?|sans|ni|n['’]y a plus|n['’]ont plus|plus (?:de|d')|no hay"
    r"|no tienen?|sin|keine?[nr]?|ingen"
    r"|[وف]?(?:لا|لم|ما) ?(?:يوجد|توجد|يتوفر|تتوفر|يتوفرون|عندهم|عندهمش|فيه|فيها|كاين|كاينش|يعد|تعد)"
    r"|[وف]?(?:مفيش|مافيش|مافي|مكاش|ماكانش|مكانش|ماكاش|ماكاينش|مكاينش|معندهمش|ماعندهمش|بدون|بلا|ليس|ليست)"
    r"|ma ?k[ae](?:y[ei]?)?n?(?:ch|sh|che)|ma ?fiha?(?:ch|sh)|ma ?3and(?:hom|ha|o|ou|kom)(?:ch|sh|che)"
    rf"|bla){_LEAD}"
)
WISHED = re.compile(
    r"\b(?:wish|hope|hoping|would (?:love|like|prefer|appreciate|be \w+)|i'?d (?:love|like)"
    r"|should (?:have|add|be|get|make|offer|do)|could (?:use|do with|add|have|be)"
    r"|needs? (?:an?|some|to)|please|if (?:there|they|it|you)|fantasi[sz]ing|suggest\w*|dream\w*|want"
    r"|why not|missing|consider"
    r"|aimer\w+|souhait\w+|voudr\w+|faudrait|faut|manqu\w+|dommage|si (?:il|vous)|serait|merit\w+"
    r"|ajout\w+|prevoir|espere|(?:devrai|pourrai)(?:t|ent) (?:faire|avoir|mettre|ouvrir|creer|proposer|amenager)"
    r"|(?:devriez|pourriez) (?:faire|avoir|mettre|ouvrir|creer|proposer|amenager)"
    r"|gustaria|encantaria|ojala|falta|deberian?|(?:seria|estaria) (?:\w+ )?|pay (?:extra|more)(?: for)?"
    r"|نتمني|اتمني|نرجو|ارجو|نقترح|اقترح|ياريت|يا ريت|ليت|لو (?:كان|كانت|فيه|هناك|يوجد)|ينقص\w*|ن?محتاج\w*|نحتاج"
    rf"|bghina|khas|n?challah|inchallah|nchalah|lou?kan|lokan){_LEAD}"
)
WISHED_AFTER = re.compile(r"\W*(?:\w+ ){0,2}(?:would (?:be|have been)|serait|seraient|seria|needed|wanted)\b")
GONE = re.compile(
    r"\b(?:(?:got|get|gotten|getting) rid of|remov\w+|took away|taken away|scrapp\w+|clos(?:ed"
    r"|ing)(?= the\b)|used to (?:be"
    r"|have)|closed down|replac\w+|no longer"
    r"|supprim\w+|enlev\w+|retir\w+|avant,? (?:il y|y|ils|elles?) av(?:ait|aient)|il y avait avant|autrefois"
    r"|(?:told|thought|promised|said|advertised)(?: \w+)?(?: that)? (?:there (?:was|were|would be)|they had)"
    r"|quitaron|eliminaron|antes,? (?:habia|hubo|tenian?|existia)|ya no|الغوا|الغاء|حذفوا|ازالوا|شالوا"
    r"|(?:كان|كانت) (?:هناك|يوجد|توجد|فيه|فيها|لديهم|عندهم|في) (?:سابقا|من قبل)|(?:سابقا|قبل|زمان) (?:كان|كانت)"
    r"|kant? (?:kayen|kayna)|ken fih\w*)(?: [\w'’]+){0,4} ?$"
)
_THEM = r"(?:it|them|that|those)"
GONE_AFTER = re.compile(
    r"[^.!?\n]{0,40}?\b(?:(?:was|were|is|has been|have been|been|got) (?:\w+ )?(?:removed|gone"
    r"|scrapped|taken (?:away|out)|closed down|replaced|converted|turned into|changed into)"
    r"|no longer|(?:closed|shut) down|(?:has|have) (?:gone|closed|disappeared)(?! (?:up|down\w*|through))"
    r"|a ete (?:supprim|enlev|retir|ferm)\w+|n['’]existe (?:pas|plus)|(?:fue|ha sido) (?:eliminad|quitad)\w+)\b"
    # "... and they removed it": what is gone is named by a pronoun
    rf"|[^.!?\n؟]{{0,60}}?(?:\bthey(?: have|['’]ve)?(?: \w+)? (?:removed|scrapped|closed|cancelled|stopped) {_THEM}"
    rf"|\bthey(?: have|['’]ve)?(?: \w+)? (?:took|taken) {_THEM} (?:away|out)|\bgot rid of {_THEM}"
    r"|\b(?:on|ils|elles?) (?:l['’]|les )(?:a|ont|avai(?:en)?t) (?:\w+ )?(?:supprim|enlev|retir|ferm|arret|annul)\w+"
    r"|\bl[oa]s? (?:han |habian )?(?:quit|elimin|suprim|cerr|cancel)\w+"
    r"|\b[وف]?(?:لكن ?)?(?:(?:الغو|حذفو|ازالو|شالو|اغلقو|وقفو|نحا?و)(?:ه|ها|هم)|(?:تم|تمت) (?:الغاو|حذف|ازال|اغلاق)\w*"
    r"|الغيت?|اغلقت?)"
    r"|\b(?:na7aw|na7iw|7aydou?|7iydou?|gh[ae]l9ou?|bel3ou?|7bsou?)h\w*)\b"
    r"|,? (?:but|mais|pero) (?:there (?:is|was|are|were) ?(?:n['’]?t|not|none)(?: any| one)?"
    r"|il n['’]y en a (?:pas|plus)|no hay)(?= *(?:[.,!]|$))"
    r"|[^.!?\n؟]{0,20}?\bمغلق\w* (?:منذ|حاليا|للصيانه|نهاييا)\b"
    r"|[.! ]+(?:it|this|that|they|now it)(?:['’]s| is| was| has been| have been)(?: now| since"
    r"| all)? (?:removed|gone|closed|scrapped|mixed|taken away)\b"
)
NIGHT_OUT = re.compile(r"\b(?:discount\w*|half (?:off|price)|% off|free entry|\$ ?\d+|\d+ ?\$)")
_CLOCK = r"\d{1,2}(?: ?(?:h(?:eures)?\b ?(?:\d{2})?|h\d{2}|[:.]\d{2}))?(?: ?(?:am|pm|صباحا|مساء|زوالا|ظهرا|ليلا)\b)?"
HOURS = re.compile(
    r"(?:\b(?:de|from|between|entre|von|kl\.?|mi?n|men|من) (?:las? |الساعه )?)?\b"
    rf"{_CLOCK} ?(?:a|à|-|–|to|et|and|until|till|bis|jusqu['’]a|hasta(?: las)?|a las|y|الي|حتي|l|lel|[7h]ta(?: l)?)"
    rf" ?(?:غايه )?(?:الساعه )?{_CLOCK}"
)
SENTENCE_END = re.compile(r"[.!?;\n؟]")
HINTS = (
    *("women", "woman", "ladies", "lady", "female", "girl", "no men", "men not", "men are", "unisex", "co-ed"),
    *(
        "coed",
        "mixt",
        "mixed",
        "separate",
        "khtalat",
        "mkhalta",
        "rjal",
        "redjal",
        "femme",
        "dame",
        "fille",
        "femini",
        "hommes",
        "mujer",
        "chica",
        "damas",
    ),
    *(
        "senora",
        "femenin",
        "hombres",
        "men only",
        "only for men",
        "frau",
        "damen",
        "kvinde",
        "damer",
        "nssa",
        " nsa",
        "nisa",
        "bnat",
        "banat",
    ),
    *("نسا", "سيدات", "بنات", "نسو", "حريم", "مختلط", "رجال"),
)
ASKED = re.compile(
    r"\b(?:is there|are there|(?:do|does) (?:you|they|it|this)|have you|any|y a[- ]t[- ]il|est[- ]ce"
    r"|avez[- ]vous|hay|tienen|هل|gibt es)\b"
)
ASKED_SOON = 25  # a statement this near to its question mark is what is asked
LONGEST = 20_000  # characters of a review that are read
YES_RE = re.compile("|".join(f"(?:{rule})" for rule in _YES))
NO_RE = re.compile("|".join(f"(?:{rule})" for rule in _NO))
WOMEN_WORDS = re.compile(
    r"\b(?:wom[ae]ns?|lad(?:y|ies)|females?|girls?|femmes?|dames?|filles?|feminine?s?|soeurs?|mujer(?:es)?|chicas?"
    r"|senoras|femenin[oa]s?|frauen|damen|kvinde\w*|damer|nn?ss?a|niss?a|bnat|banat|hommes?|men|hijab\w*|mou?tahajibat?"
    r"|mixtes?|mixit[ey]|mixt[oa]|unisex|co[- ]?ed|mou?kh?talat\w*|mixed (?:gym|gender|sex|place|club))\b"
    rf"|{_N}|مختلط|رجال|محجب"
)
WOMEN_ROOTS = (  # without any of these there is none of the words: a look that costs next to nothing
    *("wom", "lad", "female", "girl", "femme", "dame", "fille", "femin", "soeur", "mujer", "chica", "senora", "frau"),
    *("damen", "damer", "kvinde", "ssa", "nsa", "nisa", "bnat", "banat", "homme", " men", "men ", "hijab", "ahajib"),
    *("mixt", "mixit", "unisex", "co-ed", "coed", "co ed", "htalat", "mixed", "نسا", "نسو", "سيدات", "بنات", "ختلط"),
    *("رجال", "محجب"),
)
HINT_CUES = re.compile(
    r"\b(?:only|just for|exclusiv\w*|reserv\w*|dedi\w*|separat\w*|private|hours?|timings?|days?(?! pass)|floor"
    r"|sections?|areas?|zones?|spaces?|uniquement|seulement|que pour|rien que|horaires?|heures?|creneaux?|etages?"
    r"|espaces?|salles?|matin\w*|aprem|apres|soir\w*"
    r"|jours?|cours|seances?|solo|salas?|horarios?|clases?|mixtes?|mixit[ey]|mixt[oa]"
    r"|mixed|unisex|nur|stunden|kun|ghir|bark|wa9t|we9t|nhar|9a3a|allowed|interdit\w*|acces)\b|\d ?h\b"
    r"|فقط|قسم|قاع|صال|وقت|اوقات|توقيت|ساع|يوم|ايام|خاص|مختلط|حصص"
)
NAME_YES = re.compile(
    r"\b(?:ladies|women|womens|femmes?|feminine?s?|mujeres|frauen|damen|nissa|nssa)\b"
    r"|\blady['’]?s? (?:gym|fit\w*|club|only|sport\w*|form\w*|zone)"
    r"|\b(?:gym|fit(?:ness)?|club|salle|studio|form[ae]?) (?:for )?lad(?:y|ies)['’]?s?\b(?! (?:bird|gaga|luck|liberty))"
    r"|(?:لل|ال)?(?:سيدات|نساء|نسايي)"
)
NAME_MEN = re.compile(r"\b(?:hommes?|men|mens|mixte|gents|hombres|herren|unisex)\b|رجال")

# ---- a place for women, not only an hour: a room, a floor, a whole gym
WOMEN = frozenset(
    "women woman womens ladies lady female females girls femme femmes dames feminin feminine feminins feminines filles"
    " mujer mujeres chicas damas senoras femenino femenina frauen damen nssa nsa nisa nissa bnat banat".split()
    + [before + word for before in ("", "ال", "لل", "بال", "ل") for word in ("نساء", "نسا", "سيدات", "بنات")]
    + ["حريم", "الحريم", "للحريم", "حريمي", "lebnat", "lbnat", "lnssa"]
    + ["نسايي", "نساييه", "النسايي", "النساييه", "نسوي"]
)
"""Words without one of which nothing is said of a place for women (folded)."""
A_PLACE = re.compile(
    r"\b(?:areas?|sections?|spaces?|rooms?|gyms?|zones?|floors?|sides?|corners?|studios?|clubs?|salles?|espaces?|etages?"
    r"|parties?|coins?|pieces?|niveaux?|sous[- ]sols?|salas?|zonas?|espacios?|seccion(?:es)?|gimnasios?|plantas?|pisos?"
    r"|l?9a3a|l?ka3a|l?9ism|blas[st]?a|l?etage|\w+(?:bereich|abteilung|raum|studio|afdeling|omrade|rum))\b"
    r"|قسم|قاع[ها]|صال[ها]|طابق|\b(?:ال)?دور\b|مساحه|فضاء|نادي|جناح|مكان|جيم|غرفه"
)
A_TIME = re.compile(
    r"\b(?:hours?|times?|timings?|slots?|sessions?|class(?:es)?|days?|nights?|mornings?|evenings?|swim\w*|horaires?|heures?"
    r"|creneaux?|seances?|cours|jours?|journees?|mat(?:in|inee)s?|midis?|soir(?:ee)?s?|plages?|horarios?|horas?|clases?|dias?"
    r"|mananas?|tardes?|wa9t|we9t|sa3at|nhar|sba7|sbah|3chiya|(?:mon|tues|wednes|thurs|fri|satur|sun)days?"
    r"|(?:lun|mar|mercre|jeu|vendre|same)dis?|dimanches?|lunes|martes|miercoles|jueves|viernes|sabados?|domingos?)\b"
    r"|\d ?h\b|\d ?[ap]m\b|\d:\d\d|وقت|اوقات|توقيت|ساع|حصص|حصه|يوم|ايام|صباح|مساء|فتره"
)
