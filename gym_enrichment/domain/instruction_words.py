# ruff: noqa: E501 - words, as many on a line as go together
"""The words by which a review that steers a model is known. Data and its compilation: reading is for instructions.py.

ORDERS run on plain text: folded words with one space between them, `|` where a sentence or clause ends (and at the
start), `,` for a lighter break, `!` and `^` where an imperative is likely and where it can stand ("please", "you must",
a clause's beginning): that tells an order from "they add towels", "I would describe it as". In the patterns `@` is
either place, `§` the former, a space also passes breaks, `~5 ` is up to five words of one sentence.
"""

from __future__ import annotations

import re

from gym_enrichment.domain.instruction_frames import Rule

STRICT = frozenset(
    "| please pls plz 3afak kindly always veuillez svp stp toujours siempre bitte immer رجاء يرجي دائما".split()
)
"""Words (and the start of a clause) after which an imperative stands: an order, or at least a request."""
LOOSE = frozenset(", then instead et puis ensuite y luego und ثم و lazem".split())
"""Words after which an imperative can stand, and much else."""
STRICT_PAIRS = frozenset(
    "you must,you shall,you should,you will,sure to,sure you,remember to,merci de,merci d,il faut,te plait"
    ",vous plait,tu dois,vous devez,por favor,tienes que,du musst,من فضلك,يجب عليك,عليك ان,يجب ان".split(",")
)
"""The same as STRICT, in two words."""
LOOSE_PAIRS = frozenset("and always,and then,and also,and please,and now".split(","))
ADVERBS = frozenset(
    "please always only just also now then simply instead toujours seulement simplement maintenant siempre solo ahora immer"
    " jetzt nur الان فقط دائما bien vouloir".split()
)
"""Words that may stand between such a place and its imperative."""


_LEADS = ("[\\^!] ", "! ", "[|,] ", " ")


def _order(hints: str, *patterns: str) -> Rule:
    """A rule of ORDERS; `hints` are separated by commas."""
    by_lead: dict[str, list[str]] = {}  # what begins alike is looked for at once
    for pattern in map(_written_out, patterns):
        lead = next((lead for lead in _LEADS if pattern.startswith(lead)), "")
        by_lead.setdefault(lead, []).append(pattern)
    return Rule(tuple(hints.split(",")), tuple(map("|".join, by_lead.values())))


def _written_out(pattern: str) -> str:
    # A pattern that starts with a plain character is searched for many times faster than one with a \\b.
    lead, pattern = (" ", pattern[2:]) if pattern.startswith(r"\b") else ("", pattern)
    pattern = (
        pattern.replace(" ?", "%")
        .replace(" ", r" (?:[|,^!] )*")
        .replace("%", " ?")
        .replace("@", "[\\^!] ")
        .replace("§", "! ")
    )
    return lead + re.sub(r"~(\d+) \(\?:\[\|,\^!\] \)\*", r"(?:[^ |]+ ){0,\1}?", pattern)


# ---- orders, in any language
_DROP = (
    r"\b(?:ignor(?:e|ing|es|ez|er|a|ad|en|ar|iere[nt]?|i|o)|disregard\w*|forget|override|overwrite|bypass|discard|overlook"
    r"|do not follow|don t follow|stop following|do not obey|oubli(?:e|es|ez|er)|neglig(?:e|ez|er)|(?:fais|faites) abstraction"
    r"|ne (?:tiens|tenez) (?:pas|plus|aucun) compte|ne (?:suis|suivez|respecte|respectez) (?:pas|plus)|passe outre"
    r"|outrepass\w+|olvid(?:a|e|ad|ar)|descart(?:a|e|ar)|omit(?:e|a|ir)|haz caso omiso|no hagas caso|no sigas"
    r"|vergiss|vergessen|missachte\w*|uberschreibe|ignorier\w*|umgehe|dimentica|ignora|esquece|esqueca|ignoreer|negeer|glem|ignorer"
    r"|(?:و|ف)?تجاهل(?:وا|ي|و)?|(?:و|ف)?انس(?:ي|وا|و)?|اهمل(?:وا)?|لا تتبع|لا تلتزم|a?nsaw?|insa|t?ansa|sma7 f|khelli)"
)
_OURS = (  # orders that only a model has
    r"(?:instructions?|instrucciones|instruccion|istruzioni|instrucoes|instructies|instrukse\w*|anweisung\w*|prompts?"
    r"|consignes?|directives?|directrices|system ?prompt|(?:ال|لل)?تعليمات\w*|(?:ال)?توجيهات|programming|programmierung"
    r"|programmation|programacion)"
)
_ANYONES = (  # what a gym can have as well
    r"(?:rules?|regles?|reglas?|regeln|regole|guidelines?|directions?|orders?|ordres?|ordenes|orden|commands?|commandes?"
    r"|befehle?|vorgaben|indicaciones|indications?|contexte?|contexto|kontext|messages?|mensajes?|text|texte|texto|training"
    r"|restrictions?|constraints?|contraintes?|limits?|filters?|safety|security|(?:ال)?اوامر|(?:ال)?قواعد|(?:ال)?نص\w*"
    r"|(?:ال)?رسائل|everything|tout|todo|alles|كل شيء)"
)
_EARLIER = (
    r"(?:previous(?:ly)?|prior|above|earlier|preceding|foregoing|aforementioned|original|initial|system|hidden|precedente?s?"
    r"|anterieure?s?|ci dessus|plus haut|avant ceci|du systeme|systeme|initiales?|anterior(?:es)?|previ[ao]s?|del sistema"
    r"|de arriba|vorherig\w*|vorig\w*|bisherig\w*|obig\w*|fruher\w*|precedenti|anteriores|eerdere|tidligere"
    r"|(?:ال)?سابق\w*|اعلاه|ما سبق|التي قبل|li fato|li fatou|l?9bal|te?3 ?9bel|9dam)"
)
_EVERY = r"(?:all|any|your|every|toutes?|tous|tes|vos|tus|sus|tod[ao]s?|deine\w*|alle|ihre|كل|جميع|ga3|kamel)"
_MODEL = (
    r"(?:ai\b(?<!\bj\x20ai)|a i\b(?= (?:model|assistant))|ia\b|llms?\b|gpt(?: ?\d\w?)?\b|chat ?gpt\b|openai\b"
    r"|(?:large )?language models?\b|modele (?:de langage|linguistique|de langue)\b|modelo de lenguaje\b"
    r"|intelligence artificielle\b|artificial intelligence\b|inteligencia artificial\b|kunstliche intelligenz\b|ki\b"
    r"|sprachmodell\b|chat ?bots?\b|(?:ال|لل)?ذكاء الاصطناعي|نموذج (?:ال)?لغوي)"
)
_WRITER = rf"(?:{_MODEL}|(?:model|modele|modelo|bot|robot|(?:description|summary|text) generator|summari[sz]er|annotator|crawler|scraper|parser|(?:ال)?نموذج|(?:ال)?روبوت)\b)"
_ANSWER = (
    r"(?:description|descriptif|summary|synopsis|output|answer|response|reply|json|schema|fields?|entry|listing|directory"
    r"|resume|reponse|sortie|champs?|annuaire|descripcion|resumen|respuesta|salida|campos?|directorio|beschreibung"
    r"|zusammenfassung|antwort|ausgabe|feld|verzeichnis|texte final|final text|liste d equipements|liste des equipements"
    r"|texte de presentation|(?:generated |final |gym )(?:profile|text|page)|texte (?:genere|redige|produit)|overview|synthese|sintesis|blurb|write up|wasf|jawab)"
)
_LISTS = (
    r"(?:amenit(?:y|ies)|amenites?|features|facilities|filters?|tags?|categories|equipements?|services|prestations|filtres"
    r"|commodites|instalaciones|servicios|equipamiento|comodidades|filtros|etiquetas|ausstattung\w*|annehmlichkeiten)"
)
_THE = (
    r"(?:(?:the|your|its|this|that|our|gym s|final|la|le|les|l|ta|ton|tes|votre|vos|sa|son|ses|cette|ce|cet|este|esta|el|los|las|tu|tus|su"
    r"|die|der|den|das|dem|deine\w?|ihre\w?) )?"
)
_WRITE_EN = (
    r"(?:write|say|state|mention|include|add|put|insert|append|list|set|mark|output|print|return|report|claim|declare"
    r"|publish|use|replace|give|generate|produce|start|begin|end|fill|tag|label|record|copy|repeat|provide|place|state)"
)
_WRITE_FR = (
    r"(?:ecri(?:s|vez|re)|mets|mettez|mettre|r?ajout(?:e|ez|er)|indiqu(?:e|ez|er)|mentionn(?:e|ez|er)|dis|dites"
    r"|declar(?:e|ez|er)|affirm(?:e|ez|er)|inclu(?:s|ez|re|r)|inser(?:e|ez|er)|inscri(?:s|vez)|not(?:e|ez|er)"
    r"|marqu(?:e|ez|er)|repond(?:s|ez|re)|renvoi(?:e|es)|renvoyez|retourn(?:e|ez)|affich(?:e|ez)|publi(?:e|ez)"
    r"|re?copi(?:e|ez)|remplac(?:e|ez)|modifi(?:e|ez)|commenc(?:e|ez)|termin(?:e|ez)|regl(?:e|ez)|defini(?:s|ssez)"
    r"|parl(?:e|ez)|(?:fais|faites|faire) (?:figurer|apparaitre|mention)|cit(?:e|ez)|gener(?:e|ez)|produi(?:s|sez)|rempli(?:s|ssez)|place|placez|integr(?:e|ez))"
)
_WRITE_ES = (
    r"(?:escrib(?:e|a|ir)|di|diga|decir|pon|ponga|poner|anad(?:e|a|ir)|agreg(?:a|ue|ar)|inclu(?:ye|ya|ir)|mencion(?:a|e|ar)"
    r"|indic(?:a|ar)|indique|respond(?:e|a|er)|contest(?:a|e|ar)|marc(?:a|ar)|marque|establec(?:e|er)|establezca"
    r"|declar(?:a|e)|afirm(?:a|e)|devuelv(?:e|a)|public(?:a|ar)|publique|reemplaz(?:a|ar)|reemplace|genera|copia|repite"
    r"|inserta|empieza|comienza|termina|lista|rellena|coloca)"
)
_WRITE_DE = r"(?:schreib\w*|fug\w*|nenn\w*|erwahn\w*|setz\w*|antwort\w*|gib|gebe|sag|trag\w*|markier\w*|liste|behaupte)"
_WRITE_AR = (
    r"و?ف?(?:اكتب(?:وا|و|ي)?|اضف|اضيف(?:وا|و|ي)|ضف|ضع|ضعوا|ضيف|اذكر(?:وا|و|ي)?|قل|قولوا|اجعل(?:وا)?|اجب|اجيبوا|جاوب|حدد"
    r"|ادرج|سجل|انشر|استبدل|زيد|زيدوا|دير|ديروا|حط|حطوا|كتب|ارجع|اطبع)"
)
_WRITE_DARJA = r"(?:e?k(?:te|et|to|tou)b(?:i|li|lna|ou)*|aktab|ktb|zid|zidi|zido|zidou|dir|diri|dirou?|7o?t|7e?tt|ho?tt?|e?gol|goul\w*|9o?u?l|jaweb|raje3)"
_WRITE = rf"(?:{_WRITE_EN}|{_WRITE_FR}|{_WRITE_ES}|{_WRITE_DE}|{_WRITE_AR}|{_WRITE_DARJA})"
_INTO = r"(?:in|dans|a|au|aux|en|sur|parmi|comme|as|dentro de|entre|als|zu|zur|zum|f|fi|l|lel)"
_ANSWER_AR = (
    r"(?:لل|ال|بال|ب|ل)?(?:وصف|مرافق|خدمات|تجهيزات|قائمه (?:ال)?(?:مرافق|تجهيزات|خدمات)|اجابه|اجابتك|جواب|جوابك|رد|ردك|ملخص|حقل"
    r"|نتيجه|دليل)\b"
)
_SITE = (  # what only somebody who runs a directory is in charge of
    r"(?:directory|listing|database|platform|web ?site|annuaire|plateforme|base de donnees|directorio|plataforma|sitio web)"
)
_READER = r"readers?|systems?|summar\w+|writers?|tools?|lecteurs?|systemes?|redacteurs?|outils?|lector\w*|sistemas?"
ORDERS = (
    _order(
        "ignor,disregard,forget,overrid,overwrit,overlook,bypass,discard,not follow,don t follow,stop follow,not obey,oubli,neglig"
        ",abstraction,compte,suis ,suivez,respecte,passe outre,outrepass,olvid,descart"
        ",omit,haz caso,hagas caso,no sigas,vergiss,vergessen,missacht,uberschreib,umgeh,diment,esquec,negeer,glem,تجاهل,انس,اهمل,تتبع,تلتزم,nsa,sma7,khelli,talimat",
        rf"{_DROP} ~4 {_EARLIER} ~3 (?:{_OURS}|{_ANYONES})\b",
        rf"{_DROP} ~4 (?:{_OURS}|{_ANYONES}) ~2 (?:{_EARLIER}|before this|you (?:were|have been|had been) (?:given|told))\b",
        rf"{_DROP} ~2 {_EVERY} ~2 {_OURS}\b",
        rf"@{_DROP} (?:all )?(?:your|tes|vos|tus|deine) (?:guidelines|rules|regles|reglas|regeln|restrictions|restricciones|limits)\b",
        rf"@(?:n oublie[zs]? pas|don t forget|do not forget|no (?:te )?olvides|vergiss nicht) (?:de |d |to |zu )?{_WRITE} (?:que|qu|that|dass)\b(?! (?:you|vous|tu|i|je|we|nous)\b)",
        r"\btalimat\w* ~2 (?:yok say|unut|gormezden|dikkate alma)",
        rf"@{_DROP} (?:the|these|those|les|ces|las|estas|die|diese)? ?{_OURS}\b",
        rf"{_DROP} (?:\w+ ){{0,2}}?(?:everything|anything|all|whatever|tout|ce|todo|lo|alles|kolch|koulch|كل|ما) ~3 (?:above|told you"
        r"|you were told|you ve been told|you have been told|precede|ci dessus|on t a dit|te han dicho|se te dijo|anterior"
        r"|oben|سبق|اعلاه|قيل لك|[g9]alou?le?k (?:men )?9be?l)\b",
    ),
    _order(
        "prompt,system,systeme,sistema,النظام,developer,developpeur,desarrollador,jailbr,api key,cle api,cles api,d api,clave,override,administ,admin,end of"
        ",fin de,نهايه,ende der,directory,annuaire,directorio,platform,plateforme,plataforma,المطور,المسؤول,moderat,moderad,openai,sudo,i order,i command,i hereby,i instruct,i author,ordonne,ordeno,befehle",
        r"\b(?:system|hidden|initial|secret) prompts?\b(?! (?:you|me|us|them|people|users?|every\w+|for)\b)|\bprompts? (?:systeme|injection|del sistema)\b",
        r"\bsystem (?:message|override|instructions?|directives?|commands?|notice|note to|alert)\b",
        r"\b(?:message|instructions?|consignes?|directives?|alerte|ordre) (?:de |du |d )?systeme\b",
        r"\b(?:mensaje|instruccion|instrucciones|orden|aviso) del? sistema\b|\bsystem(?:nachricht|anweisung\w*|meldung)\b",
        r"[|,] sudo \w+",
        r"\bi (?:hereby )?(?:order|command|instruct|authorize) you\b",
        r"\b(?:je (?:t|vous) ordonne|te ordeno)\b",
        r"\bich befehle\b",
        r"(?:رساله|تعليمات|امر|اوامر|ملاحظه|تنبيه) (?:من )?(?:ال)?(?:نظام|مطور|مسؤول)",
        r"\b(?:developer (?:message|mode|notes?|instructions?)|mode developpeur|modo desarrollador|jailbr\w+)\b",
        r"\b(?:api keys?|cles? (?:d )?api|clave (?:de )?api|(?:admin\w*|safety) override|override (?:mode|code|all))\b",
        r"\b(?:note|notice|message|notification|order|instructions?|update|request) (?:from|by|of) (?:the )?(?:site |platform )?"
        r"(?:admin\w*|developers?|moderat\w+|directory|platform|openai)\b",
        r"\b(?:note|message|consignes?|instructions?|demande) (?:de |du |des |de la |de l )?(?:administrat\w+|developpeurs?"
        r"|moderat\w+|annuaire|plateforme)\b",
        r"\b(?:nota|mensaje|aviso|instrucciones) (?:de |del |de la |de los )?(?:administrador\w*|desarrollador\w*|moderador\w*"
        r"|directorio|plataforma)\b",
        r"\bend of (?:the |all |user |customer )?(?:reviews|data|input|context|prompt|user input|instructions|document)\b",
        r"\bfin (?:de )?(?:los |las |des |l |la )?(?:avis|donnees|resenas|datos|commentaires|entree|contexte|contexto) [|,]"
        r"|نهايه (?:ال)?(?:تقييمات|مراجعات|تعليقات|بيانات)|\bende der (?:bewertungen|daten|rezensionen|eingabe)\b",
    ),
    _order(
        " ai , ia ,llm,gpt,openai,model,bot ,bots , ki ,intelli,intelig,generator,ذكاء,نموذج,روبوت,lenguaje,sprach,assistant,asistente,assistent"
        ",summar,annotat,crawler,scraper,parser",
        r"[|,] (?:dear|hey|hi|hello|ok|okay|attention|important|note|message|reminder|instructions?|info|warning|memo|notice|to"
        r"|for|psst|cher|chere|bonjour|salut|a|pour|rappel|consignes?|hola|estimad[oa]|querid[oa]|nota|mensaje|para|atencion|an"
        r"|liebe|lieber|hallo|hinweis|achtung|nachricht|ya|salam|الي|عزيزي|عزيزتي|ملاحظه|مرحبا|يا|رساله|تنبيه) (?:to |for |the"
        r" |all |any |a |l |la |le |au |aux |pour |pour l |toute |el |al |los |para |die |das |den |an |de |von |الي )*(?:\w+ )?"
        rf"{_WRITER}(?! (?:coach|trainer|app|machine))",
        rf"\b(?:you are|you re|if you are|tu es|t es|vous etes|eres|usted es|du bist|sie sind|انت|انك|كنت|nta|enta|rak) (?:now |maintenant |desormais"
        rf" |ahora |jetzt |الان )?(?:an? |the |une? |el |la |ein |eine )?(?:\w+ ){{0,2}}?(?:{_WRITER}|assistante? (?:ia|virtuel\w*"
        r"|utile|helpful)|asistente (?:virtual|util)|(?:helpful|virtual|unrestricted) assistant)",
        rf"\b(?:as|being) an? {_MODEL}|\ben tant qu (?:une? )?(?:{_MODEL}|assistant)|\bcomo (?:una? )?{_MODEL}|\bals {_MODEL}",
        rf"[|,] (?:{_WRITER}|assistante?|asistente|assistent) (?:you|tu|vous|please|debes|por favor|du|sie|bitte|{_WRITE}) ",
        rf"\b(?:tell|ask|instruct|want|like|need|order|dis a|dites a|demande a|dile a) (?:the |this |your |any |l |la |le |el |al )*{_WRITER}"
        rf" (?:to|that|there|de|que|qu|it)\b",
        rf"\b{_WRITER} (?:must|should|shall|has to|doit|devra|debe|muss|soll) (?:always |only |toujours )?(?:{_WRITE}|answer|respond|dire"
        rf"|consider)\b",
        rf"\b{_WRITER} (?:(?:who|that|which|is|are|currently|qui|que|der|die) ){{0,3}}(?:reads?|reading|lit|lis|lisez|lisant|lee|lees"
        r"|leyendo|liest|processing|processes|summari[sz]\w+|resum\w+|analy[sz]\w+|traite\w*|تقرا|يقرا)\b",
    ),
    _order(
        "you are now,you re now,es maintenant,es desormais,eres ahora,bist jetzt,etes maintenant,etes desormais",
        r"\b(?:you are|you re|tu es|vous etes|eres|du bist) (?:now|maintenant|desormais|ahora|jetzt) (?:an? |une? |ein |in )?(?:\w+ )?"
        r"(?:dan|assistant|assistante|asistente|assistent|bot|pirate|pirata|pirat|hacker|poet|poete|traducteur|translator"
        r"|unrestricted|uncensored|free from|libre de|sans restrictions?|sin restricciones|developer|developpeur|admin\w*|root)\b",
    ),
    _order(
        "true,false,vrai,verdadero,wahr,صحيح,faux,falso,falsch,yes,oui",
        r"\b(?:set|sets|setting|mark|change|switch|turn|make|put|mets|mettez|mettre|passe|passez|regle|reglez|regler|defini(?:s|ssez|r)"
        r"|pon|ponga|establece\w*|marca|marque|cambia|setze|setz|stelle|اجعل|ضع|dir|dirou?|7e?tt?|hott?"
        r") ~8 (?:to|as|equals?|a|en|sur|comme|como|auf|als|على|الي|l|be)? ?(?:true\b(?! (?:to|gym|fitness|home|pro))"
        r"|false|vrai|faux|verdadero|falso|wahr|falsch|صحيح) [|,]",
        r"@(?:set|mets|mettez|mettre|pon) (?:the |la |le |el )?(?:value |valeur |valor )?(?:true|false|vrai|verdadero) (?:for|in|to|on"
        r"|pour|dans|a|sur|en|para|[|,])",
        r"@(?:set|mark|mets|mettez|regle) (?:the )?(?:wom[ae]n|ladies|female|femmes?)\b ~4 (?:to|as|a|sur) (?:yes|oui|1)\b",
        r"\b(?:set|mets|mettez|pon|setze|اجعل|ضع) ~6 (?:to|equals?|a|en|auf|الي) (?:true|false|vrai|verdadero|wahr|صحيح)\b",
    ),
    _order(
        "descripti,summary,synopsis,synthese,sintesis,blurb,overview,profile,generated,texte ,your text,tu texto,write up,output,answer,response,reply,json,schema,field,entry,listing,directory,resume,reponse,sortie"
        ",champ,annuaire,descripci,resumen,respuesta,salida,campo,directorio,beschreibung,zusammenfassung,antwort,ausgabe,feld"
        ",verzeichnis,final text,liste d,wasf,jawab,fiche,following,suivant,siguiente",
        rf"@{_WRITE_EN} ~20 (?:in|into|inside|within|under|to|as|of) (?:the|your|its|this|that|every|our|final) (?:\w+ )?{_ANSWER}\b"
        rf"|@{_WRITE_EN} ~20 in (?:description|summary|output|json)\b",
        rf"@(?:{_WRITE_FR}|{_WRITE_ES}|{_WRITE_DE}|{_WRITE_DARJA}) ~20 {_INTO} {_THE}(?:\w+ (?:de |du |des |d )?)?{_ANSWER}\b",
        rf"@(?:only )?(?:in|into|for|dans|pour|en|para|in|fur|f|fi) {_THE}{_ANSWER} ~4 {_WRITE} ",
        rf"@(?:write|generate|produce|output|return|print|set|replace|start|begin|end|rewrite|overwrite|fill|ecri(?:s|vez)|mets"
        r"|genere|renvoie|remplace|commence|termine|ecrase|rempli(?:s|ssez)|escribe|genera|devuelve|reemplaza|empieza|termina"
        r"|schreibe?|ersetze|beginne|اكتب|استبدل|ابدا) "
        rf"{_THE}(?:\w+ )?{_ANSWER} (?:as|so|to|with|by|only|must|empty|blank|in|like|that|saying|par|avec|en|vide|comme|a|con|por"
        r"|como|que|vacia|mit|durch|als|leer|ب\w*|[|,])",
        rf"\b(?:the|your|this|its|la|le|el|ta|votre|cette|tu|su|esta|die|deine|ihre|ال) (?:\w+ )?{_ANSWER} (?:must|shall|has to|needs to"
        r"|should|will|doit|devra|debe|tiene que|muss|soll) (?:always |only |toujours |uniquement |siempre |immer )?(?:say|state"
        r"|comporter|citer|mention|include|contain|read|start|begin|end|claim|be (?:exactly|only|empty|in|the)|dire|mentionner|contenir|commencer"
        r"|inclure|indiquer|etre (?:exactement|uniquement|vide)|finir|se terminer|decir|mencionar|contener|incluir|empezar|comenzar"
        r"|ser (?:exactamente|solo)|lauten|enthalten|erwahnen|beginnen|das)\b",
        rf"\b(?:every|each|all|chaque|toute|cada|jede) {_ANSWER} (?:(?:that )?(?:you|que tu|que vous) \w+ |of yours )?(?:must|shall|has to|have to|should"
        rf"|doit|devra|debe|muss|soll) (?:always |toujours )?(?:say|state|mention|include|contain|start|begin|end|dire|mentionner|contenir"
        rf"|commencer|inclure|indiquer|decir|mencionar|contener|incluir|empezar|enthalten|erwahnen|beginnen)\b",
        rf"\b(?:use|utilise[rz]?|usa(?:lo|la)?|verwende\w*) (?:it |this |that |them |le |la |les |ceci |cela |lo |es |das )?(?:as|comme|como|als)"
        rf" {_THE}{_ANSWER}\b",
        rf"\b(?:correct|right|expected|final|only valid|bonne|correcte|attendue?|finale?|correcta|esperada|richtige) (?:{_ANSWER})"
        r" (?:is|should be|must be|est|sera|es|sera|debe ser|ist|to|attendue|[|,])",
        r"\b(?:reponse|sortie|respuesta|salida) (?:correcte|attendue|finale|exacte|correcta|final|esperada) (?:est|es|[|,])",
        r"@(?:here is|here s|below is|voici|voila|aqui esta|aqui tienes|hier ist|هذا هو) (?:the|your|le|la|ta|votre|el|das|die)?"
        r" ?(?:\w+ )?(?:json|output|answer|summary|reponse|sortie|resume|respuesta|salida|antwort|ausgabe)\b",
        rf"@(?:make sure|ensure|see to it|assure toi|assurez vous|veille[zr]?|asegurate)(?: that| que| de que| a ce que)? {_THE}(?:\w+ )?(?:{_ANSWER}|profile|fiche|ficha|text|texte) (?:lists?|mentions?|says?|states?|includes?|contains?|claims?|cite|mentionne|indique|contienne|comporte|dise|mencione|incluya|diga)\b",
        rf"\b(?:when|while|if|before|quand|lorsque|si|cuando|wenn) (?:you|tu|vous|du) (?:write|generate|compose|produce|summari[sz]e|ecri\w+|redig\w+|escrib\w+|schreib\w+) (?:your|the|ta|ton|la|le|tu|el|deine\w*) (?:{_ANSWER}|text|texte|texto)\b",
        rf"@make {_THE}{_ANSWER} (?:say|state|mention|claim|include|look)\b",
        rf"@{_WRITE_FR} ~20 dans (?:la|ta|sa|cette) fiche\b",
        rf"@(?:list|include|add|use|output|mention|give|return|{_WRITE_FR}|{_WRITE_ES}|utilise) (?:only )?(?:the following"
        r"|(?:le|la|les|el|los|las) \w+ (?:suivante?s?|siguientes?))\b",
        r"[|,] (?:output|final answer|expected output|sortie attendue|salida) [|]",
        r"@(?:reply|respond|answer|response|reponse|respuesta) in (?:json|english|arabic|spanish|pirate|german|uppercase|all caps)\b",
    ),
    _order(
        "amenit,feature,facilit,filter,tag,categor,equipement,services,prestation,filtre,commodit,instalacion,servicios"
        ",equipamiento,comodidad,filtro,etiqueta,ausstattung,annehmlich,وصف,مرافق,خدمات,تجهيزات,قائمه,اجاب,جواب,رد,ملخص,حقل"
        ",نتيجه,دليل",
        rf"@(?:write|include|add|put|insert|append|list|set|place|{_WRITE_FR}|{_WRITE_ES}|{_WRITE_DE}|{_WRITE_DARJA}) ~20 "
        rf"(?:in|into|to|under|among|as|aux|a la|a l|dans la|dans les|parmi les|comme|en tant qu|a los|a las|en los|en las|en la|al|entre|como|zur|als"
        rf"|zu den|in die|f|fi|l|lel) {_THE}(?:an? |une? |(?:list|liste|lista) (?:of |des |d |de |de los )?)?(?:les |las |los )?"
        rf"{_LISTS}\b",
        rf"@(?:set|replace|overwrite|fill|remplace|remplacez|reemplaza|ersetze|empty|vide|videz) {_THE}{_LISTS} (?:with|to|as|by|par"
        r"|avec|con|por|mit|durch|list)\b",
        rf"\b(?:the|your|all|les|tes|vos|los|las|tus) {_LISTS}(?: list)? (?:must|shall|doivent|deben) (?:include|contain|be (?:set|exactly|only|empty)"
        r"|list|mention|inclure|contenir|comprendre|incluir|contener)\b",
        rf"@{_WRITE_AR} ~10 (?:في |الي |ضمن |علي |من )?{_ANSWER_AR}",
    ),
    _order(
        "that,que ,qu ,oui,dass,ان,انه,belli,bli ,only,exactly,uniquement,seulement,juste,solo,solamente,nur,فقط,with,par ,con ,mit",
        r"§(?:write|state|mention|claim|report"
        r"|answer|respond|declare|output|always say|pretend) that\b(?! (?:i|you|we|he|she|they|to|it s your)\b)",
        r"§(?:ecri(?:s|vez|re)|repond(?:s|ez|re)|mentionn(?:e|ez|er)|declar(?:e|ez|er)|affirm(?:e|ez|er)"
        r"|dis|inclus|inscri(?:s|vez)|pretend(?:s|ez)) (?:bien |toujours |simplement |partout )?(?:que|qu)\b(?! (?:vous|tu|je|j|c est moi|nous|on)\b)",
        r"§(?:escrib[ea]|responde|responda|contesta|conteste|di|diga|declara|afirma"
        r"|menciona|anade|indica) que\b",
        r"§(?:schreibe?n?|antworte?n?|behaupte?n?|sage?|erwahne?n?) (?:sie )?(?:, )?dass\b",
        r"@(?:و|ف)?(?:اكتب|قل|اذكر|اجب|قولوا|اكتبوا|زعم|جاوب|صرح) (?:ب)?(?:ان|انه|انها|بان|بانه|بانها)\b",
        rf"@{_WRITE_DARJA} (?:belli|bli|beli|billi|bili)\b",
        r"@(?:respond|reply|answer|output|return|print|repond(?:s|ez|re)|ecri(?:s|vez)|renvoi\w+|responde|contesta|escribe|devuelve|antworte?n?"
        r"|schreibe?|gib|اجب|اكتب|رد|جاوب) (?:only|exclusively|just|exactly|uniquement|seulement|juste|exclusivement|solo|solamente"
        r"|unicamente|exactamente|nur|ausschliesslich|فقط)\b",
        r"@(?:respond|reply|answer|repond(?:s|ez)|responde|contesta|antworte?|اجب|رد|جاوب) (?:to \w+ |a \w+ )?(?:with|par|avec|con|mit|ب) "
        r"(?:the |a |le |la |un |el |dem )?(?:word|text|sentence|following|phrase|mot|texte|json|palabra|texto|wort|satz|ok|كلمه|yes|oui|no|si)\b",
        r"@(?:repond(?:s|ez)|responde|contesta|antworte|اجب|جاوب) (?:toujours |siempre )?(?:oui|si|ja|ok|non|نعم)\b",
    ),
    _order(
        "instruct,prompt,consigne,directive,instrucc,anweisung,تعليمات,task,tache,tarea,aufgabe,مهم,rule,regle,dois,devez,debes,you must",
        r"@(?:reveal|print|show|display|repeat|leak|output|tell me|give me|send|disclose|revel\w+|affich\w+|montr\w+|donn\w+"
        r"|repet\w+|muestra|revela|repite|dime|zeige?|nenne|اظهر|اكشف|اعرض|كرر) ~3 (?:your|system|hidden|secret|initial|ton|tes"
        r"|votre|vos|systeme|tu|tus|sistema|dein\w*)? ?~1 (?:system |initial |secret )?(?:prompt|instructions|consignes|instrucciones"
        r"|anweisungen|تعليمات\w*)\b",
        r"\b(?:tu dois|vous devez|debes|you must) (?:ecrire|dire|repondre|indiquer|mentionner|declarer|affirmer|escribir|decir|responder|state"
        r"|answer|claim) (?:que|qu|that)\b",
        r"[|,] (?:new|updated|additional|revised|important|special|secret|hidden|urgent|critical|final|nouvelles?|nouveaux|importante?s?"
        r"|nuevas?|importantes?|neue|wichtige|critique) (?:\w+ )?(?:instructions?|directives?|consignes?|tasks?|prompts?|orders?|taches?|regles?"
        r"|instruccion(?:es)?|directiva|tareas?|anweisung(?:en)?|aufgabe) (?:[|,]|to the|for the|pour|a l|aux?|para|fur)",
        r"تعليمات (?:جديده|مهمه|هامه|خاصه)|مهمتك (?:الجديده|الان|هي)",
        r"\b(?:your|ta|votre|tu|deine) (?:new |only |real |nouvelle |vraie |seule |unique |nueva |neue )?(?:task|tache|tarea|aufgabe|instructions?"
        r"|consigne) (?:(?:is|are|est|es|sont|ist|now|maintenant)\b|[|])",
        r"@(?:follow|obey|execute|suis|suivez|respecte|obeis|obeissez|applique|appliquez|sigue|obedece|ejecuta|aplica|befolge|اتبع|نفذ"
        r"|طبق) (?:only )?(?:these|this|my|the following|the new|ces|cette|mes|les|estas|esta|mis|las|diese|meine|هذه|ال)?"
        r" ?(?:nouvelles |new |nuevas |siguientes )?(?:instructions?|consignes?|directives?|orders?|ordres|commands?|instruccion(?:es)?|ordenes"
        r"|anweisung(?:en)?|تعليمات|اوامر)\b(?! (?:to|of|on|from|by|du|de|des|and)\b)",
        r"[|,] (?:instructions?|consignes?|instruccion(?:es)?|anweisung(?:en)?|تعليمات) (?:to|for|pour|a|para|fur|ل\w*|الي) (?:the |l |le |la |el"
        rf" |al |au |die |das )?(?:{_WRITER}|assistant|system\w*|sistema|reader|lecteur|lector|writer|redact\w+)",
    ),
    _order(
        "now on,partir de,desormais,ab jetzt,الان,act as,pretend,role,behave,agis,comporte,joue,semblant,comme si,actua,finge,verhalte"
        ",تصرف,تظاهر,تقمص,compil,redact,summar,describ,descri,decri,resum,writ,redig,generat,classif,process,analy,تلخ,وصف,beschreib,zusammenfass"
        ",listed,marked,tagged,label,treat,consider,اعتبر,this review,cet avis,esta resena,autres avis,above,ci dessus,precede,anterior,these words,ces mots",
        r"\b(?:from now on|starting now) (?:you (?:are|will (?:act|answer|respond|only|always|say|write)|must (?:act|answer|respond|say|write)"
        r"|answer|speak|respond)|respond|answer|act|always (?:say|write|answer))\b",
        r"\b(?:a partir de maintenant|desormais|des maintenant) (?:tu (?:es|dois|vas|reponds|ecris)|reponds|ecris|agis)\b",
        r"\b(?:a partir de ahora|desde ahora) (?:eres|responde|debes|escribe|actua|vas)\b",
        r"\bab jetzt (?:bist|antworte|schreibe?)\b",
        r"من الان (?:فصاعدا )?(?:انت|عليك|اجب|اكتب|ستكون)",
        r"@(?:act as (?:an? |if you |the )|pretend (?:to be an?|you are) |role ?play as|behave (?:as|like) an? |agis (?:comme|en tant"
        r" que)|comporte toi comme|joue le role|fais (?:semblant d etre|comme si tu)|actua como|comportate como|finge (?:ser|que)|verhalte dich"
        r" wie|تصرف (?:ك|مثل)|تظاهر|تقمص)",
        r"@(?:when|while|whenever|if|before|lorsque|quand|en|si|al|cuando|wenn|beim|عند|عندما) (?:you |tu |vous |te |du )?(?:are |es |etes )?"
        rf"(?:summari[sz]\w+|describ\w+|writ\w+|generat\w+|classif\w+|process\w+|analy[sz]\w+|resum\w+|decri\w+|redig\w+|traite\w*|traduis\w*|redact\w+|compil\w+|escrib\w+"
        rf"|beschreib\w*|zusammenfass\w*|تلخيص|وصف|تلخص|تكتب|تصف) ~8 [,|] (?:please |always |never |only |toujours |siempre |immer |you must )?"
        rf"{_WRITE} ",
        r"\b(?:must|shall|has to|doit|devra|debe|tiene que|muss) (?:be|etre|ser|werden)? ?(?:listed|described|marked|tagged|labell?ed|classified"
        r"|decrite?|listee?|marquee?|classee?|presentee?|referencee?|descrit[oa]|listad[oa]|marcad[oa]|clasificad[oa]|etiquetad[oa]) (?:as|comme"
        r"|como)\b",
        r"§(?:describe|present|classify|label|tag|mark|list|flag|decris|decrivez|presente|classe"
        r"|describe|clasifica|marca|beschreibe) (?:this|the|it|cette|ce|la|le|este|esta|el|diese\w*) ~3 (?:as|comme|como|als)\b",
        r"@only (?:use|trust|consider|believe) this (?:review|comment)\b",
        r"\bne (?:tiens|tenez) (?:pas|plus|aucun) compte des autres avis\b",
        r"@(?:repeat|translate|print|output|copy|repete|traduis|traduisez|repite|traduce|wiederhole) ~3 (?:above|ci dessus|precede\w*"
        r"|anterior(?:es)?)\b",
        r"@(?:treat|consider|considere|considerez|traite|traitez|considera|trata|اعتبر) (?:this|the following|these|ce|cet|cette|ces|este|esta|هذا|هذه)"
        r" (?:\w+ )?(?:review|message|text|comment|words|avis|message|texte|commentaire|mots|resena|mensaje|texto|تعليق|رساله|نص|التعليق|الرساله)"
        r" (?:as|to be|comme|como|ك)",
        r"@(?:only )?(?:use|trust|consider|believe|utilise|utilisez|fie toi|crois|usa|considera|nutze) (?:only|seulement|uniquement|solo|nur|just) (?:this"
        r"|a |cet|cette|ce|esta|este|diese\w*) ?(?:review|avis|commentaire|resena|comentario|bewertung)\b",
        r"\b(?:ignor\w*|disregard|discard|do not use|don t use|n utilise(?:z)? pas|no uses) (?:all |any |toutes? |tous |les |the |todas |las )*"
        r"(?:other|autres|demas|otras|remaining) (?:reviews?|avis|resenas|comments|commentaires|data|facts|donnees|datos|evidence)\b(?= [|]| and (?:write|say|set"
        r"|add|only)| et | y )",
    ),
    _order(
        "owner of,operator of,editor,administra,proprietaire,propietari,gestionnaire,responsable,redac"
        ",automat,priorit,precedence,prioridad",
        rf"\b(?:as|i am|i m|en tant qu|je suis|como|soy) (?:the |an? |l |un |el )?administrat\w+ (?:of|de|du|del) {_THE}site\b",
        rf"\b(?:as|being|en tant que?|como|i am|i m|je suis|soy) (?:the |an? |l |le |la |un |el )?(?:owner|operator|editor|administrat\w+|proprietaire|gestionnaire|responsable|propietari[oa]|administrador\w*) (?:of|de|du|del) {_THE}{_SITE}\b",
        r"\b(?:note|notice|message|correction|update|statement|instructions?|nota|mensaje|aviso|correccion|mise a jour) (?:from|by|de|del) (?:the |our |l |la |le |el )?(?:editors?|editorial|redaction|equipe (?:editoriale|de redaction)|equipo editorial|redaccion)\b",
        rf"\b(?:note|notice|message|reminder|consigne|nota|mensaje|hinweis|attention|warning) (?:to |a |para )?(?:automat\w+ (?:{_READER}))\b",
        rf"\b(?:note|notice|message|reminder|consigne|nota|mensaje|hinweis) (?:to|for|pour|a|au|aux|para|al|fur) (?:the |any |all |le |la |les |l |el |los |den )?(?:redacteurs?|writers?|redactor\w*|automat\w+ (?:{_READER})|(?:{_READER}) automat\w+)\b",
        r"\b(?:this|cet|esta) (?:review|comment|avis|resena) (?:has|takes|a|prend|tiene) (?:the )?(?:absolute |la )?(?:priority|precedence|priorite|prioridad) (?:over|sur|sobre)\b",
    ),
    _order(
        "whoever,anyone who,quiconque,celui qui,celle qui,ceux qui,quien ",
        rf"\b(?:whoever|anyone who|quiconque|celui qui|celle qui|ceux qui|quien) (?:is |will )?(?:compil\w+|summari[sz]\w+|writ\w+|redig\w+|resum\w+"
        rf"|decri\w+|describ\w+|redact\w+|read\w*|lit|lira|lee) ~4 (?:{_ANSWER}|fiche|ficha|texts?|texte|reviews?|avis|resenas|comments?|commentaires) ~8 (?:should|must|shall|has to|needs to|doit|devra|debe|deberia) ~1 (?:also )?{_WRITE} ",
    ),
    _order(
        "wrong,refus,invalid,incorrect,reject,incomplet,rejete,rechazad,falsch",
        rf"\b(?:any|every|each|all|toute|chaque|cualquier|cada|jede) (?:{_ANSWER}|fiche|ficha|profile|text) ~5 (?:that|which|qui|que|die) ~1 (?:do(?:es)? ?n(?:o?t| t)|fails? to|omits?|omet\w*|oublie\w*|olvid\w+|leaves? out"
        rf"|lacks?|ne|no|nicht) ~12 (?:wrong|invalid\w*|incorrect\w*|rejected|refus\w+|incomplete\w*|rejetee?|rechazad[oa]|falsch)\b",
    ),
    _order(
        "whatever,regardless,no matter,peu importe,quoi que",
        rf"\b(?:whatever|regardless of(?: what)?|no matter what|peu importe(?: ce que)?|quoi que) ~2 (?:reviews?|hours|data|facts|text|avis|horaires|donnees|faits|textes?) ~3 , (?:please )?(?:{_WRITE_EN}|{_WRITE_FR}) (?:that|que|qu)\b",
    ),
    _order(
        "summari,summary ,outil de,enrichment,extraction,describ,description,resum,decri,review as,comment as,avis comme,commentaire comme",
        r"@(?:do not|don t|never|ne|no) (?:summari[sz]e|resume[rzs]?|resumas)\b",
        r"\b(?:to|for|pour|a|al|para) (?:the |any |l |la |el )?(?:(?:summari[sz]ing|summary|description|enrichment|extraction) (?:tool|engine|system|model|bot|generator|script|pipeline)|outil de (?:resume|redaction|synthese|description))\b",
        r"@(?:stop|arrete[rz]?|deja de) (?:de )?(?:summari[sz]\w+|describing|resum\w+|decri\w+)\b",
        r"@(?:count|take|accept|use|compte[rz]?|prends|prenez) (?:this|my|cet|mon) (?:review|comment|avis|commentaire) (?:as|comme) (?:an? |the |une? |la )?(?:evidence|proof|fact|truth|preuve|source)\b",
    ),
    _order(
        "copywriter,redact,annotat,represent the,role play,roleplay,verbatim,print ,dump ,ايها,كاتب,يا ",
        r"\b(?:you are|you re|tu es|vous etes|eres|du bist) (?:an? |une? |ein )?(?:\w+ ){0,2}?(?:copywriter|redacteur|redactor|texter)\b",
        rf"[|] (?:redacteur|redactrice|redactor|copywriter|annotateur|annotator) (?:[,|]|{_WRITE} )",
        r"\bi (?:represent|speak for|work for) the (?:platform|directory)\b|\blet (?:us|s) role ?play\b",
        r"@(?:print|output|dump|repeat|copy|reveal) ~4 (?:all |other |these |the )reviews\b|@(?:print|output|repeat|copy) ~6 verbatim\b",
        r"كاتب (?:ال)?(?:وصف|ملخص)|(?:ايها|يا) (?:ال)?(?:مساعد (?:ال)?(?:ذكي|الي|افتراضي)|نموذج|روبوت)",
    ),
    _order(
        "imagin,pretend,suppose,stell dir",
        r"@(?:imagine[rz]?|imagina|pretend|suppose|stell dir vor) (?:, )?(?:that |que |dass )?(?:you (?:are|re)|tu es|vous etes|eres|du bist|du) ~12 (?:and|et|y|und|then|puis|[|,]) (?:\w+ )?(?:write|describe|answer|respond|compose|redige[rz]?|decri\w+|ecri\w+|repond\w*|escrib[ea]|describ[ea]"
        r"|responde|schreib\w*|beschreib\w*)\b",
    ),
    _order(
        "يجب,لازم,ينبغي,ملخصك,وصفك,ردك,جوابك,اجابتك,beim ",
        r"(?:يجب|لازم|ينبغي) (?:ان )?(?:ي|ت)(?:حتوي|تضمن|شمل|ذكر|بدا|قول) (?:\w+ )?(?:ردك|جوابك|اجابتك|ملخصك|وصفك|الوصف|الملخص)|(?:ردك|جوابك|اجابتك|ملخصك|وصفك) (?:يجب|لازم|ينبغي) |(?:يجب|لازم|ينبغي) (?:ان )?(?:ردك|جوابك|اجابتك|ملخصك|وصفك) ",
        rf"في (?:ملخصك|وصفك|ردك|جوابك|اجابتك|الملخص|الوصف) ~2 {_WRITE_AR} ",
        r"@beim (?:zusammenfass|beschreib|verfass)\w* ~6 (?:erwahn|nenn|schreib|angeb|hinzufug)\w*\b",
    ),
)

# ---- an order whose words have lost their spaces
SQUEEZED = Rule(
    tuple("snoi sengis instruc consigne prompt anweis تعليمات women descrip ameni equip totrue".split()),
    (
        (
            r"snoitcurtsni|sengisnoc|senoiccurtsni|"  # and backwards
            r"(?:ignor|disregard|forget|oubli|olvid|تجاهل|vergiss)\w{0,40}(?:instruc|consigne|prompt|anweisung|تعليمات)"
            r"|(?:set|write|add|put|ajout|ecri|mets|escrib|anad|pon)\w{2,60}"
            r"(?:haswomen|womenhours|description|amenities|equipements|descripcion|totrue)"
        ),
    ),
)
